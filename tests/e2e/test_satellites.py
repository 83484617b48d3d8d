"""An administrator lets a satellite join and revokes it, in the browser and on the real thing."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from fixtures.up import RunningUp
from fixtures.waiting import SLACK
from playwright.sync_api import Page, expect


def test_a_token_from_the_page_lets_a_satellite_join_and_a_click_revokes_it(
    running_up: RunningUp, signed_in: Callable[..., Page], tmp_path: Path
) -> None:
    page = signed_in(permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"{running_up.url}/satellites")
    page.get_by_role("link", name="Let a satellite join").click()
    page.get_by_label("Name of the satellite").fill("guest")
    page.get_by_role("button", name="Make a token").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Token of guest")
    page.locator("html.scripted").wait_for()
    page.get_by_role("button", name="Copy the token").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    token = page.evaluate("navigator.clipboard.readText()")
    assert token == page.locator("#token").inner_text()
    assert token not in page.url
    expect(page.locator("#commands")).to_contain_text("nephoscope satellite join --out guest")

    join = [running_up.command, "satellite", "join", "--out", str(tmp_path / "guest")]
    done = subprocess.run(join, input=token, capture_output=True, text=True, timeout=30 * SLACK, check=False)
    assert done.returncode == 0, done.stderr
    assert token not in running_up.said()

    page.goto(f"{running_up.url}/satellites")
    page.get_by_role("link", name="Revoke guest").click()
    expect(page.get_by_role("main")).to_contain_text("Satellite guest of site")
    page.get_by_role("button", name="Revoke guest").click()
    expect(page).to_have_url(re.compile(r"/satellites$"))
    card = page.get_by_role("article").filter(has=page.get_by_role("heading", name=re.compile("^guest ")))
    expect(card).to_contain_text("revoked")
    expect(card.get_by_role("link", name="Revoke guest")).to_have_count(0)
