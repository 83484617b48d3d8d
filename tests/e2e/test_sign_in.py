"""Signing in by link and by password, and what is said when that fails."""

from collections.abc import Callable

from fixtures.browser import Watched
from fixtures.up import RunningUp
from playwright.sync_api import Page, expect

Watch = Callable[..., Watched]


def test_a_link_signs_in_once(running_up: RunningUp, watched: Watch) -> None:
    link = running_up.sign_in_link()
    page = watched(running_up.url).page()
    page.goto(link)
    expect(page.get_by_role("heading", level=1)).to_have_text("Sites")

    late = watched(running_up.url)
    late.expected = ("status of 410",)
    again = late.page()
    answer = again.goto(link)
    assert answer is not None
    assert answer.status == 410
    expect(again.get_by_role("heading", level=1)).to_have_text("This sign-in link is no longer valid")
    again.get_by_role("link", name="Sign in").click()
    expect(again.get_by_label("Password")).to_be_visible()


def test_a_password_signs_in_and_leads_to_where_one_wanted(
    running_up: RunningUp, watched: Watch, account: tuple[str, str]
) -> None:
    one = watched(running_up.url)
    one.expected = ("status of 401",)
    page = one.page()
    page.goto(f"{running_up.url}/satellites?range=6h")
    page.get_by_label("Name").fill(account[0])
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("Name or password is wrong.")
    expect(page.get_by_label("Name")).to_have_value(account[0])
    page.get_by_label("Password").fill(account[1])
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{running_up.url}/satellites?range=6h")
    expect(page.get_by_role("heading", level=1)).to_have_text("Satellites")


def test_signing_out_ends_the_session(running_up: RunningUp, signed_in: Callable[..., Page]) -> None:
    page = signed_in()
    page.locator("details.account > summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    page.goto(running_up.url)
    expect(page.get_by_label("Password")).to_be_visible()
