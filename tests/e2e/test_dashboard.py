"""The path of a reader through the dashboard, on the real thing: sites, search, the machine, its graphs, satellites."""

import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from fixtures.up import RunningUp
from fixtures.waiting import SLACK, wait_for
from playwright.sync_api import Page, expect

from e2e.machine import UTILIZATION, drawn, graph, machine, newest, samples

Enter = Callable[..., Page]
CYCLE = 10  # seconds between two samples of the machine


def range_of(page: Page) -> tuple[int, int]:
    root = page.locator("[data-resource]")
    return int(root.get_attribute("data-from") or 0), int(root.get_attribute("data-to") or 0)


def pause(up: RunningUp, verb: str) -> None:
    config = up.home / "satellite" / "satellite.toml"
    subprocess.run([up.command, "satellite", verb, "machine", "--config", str(config)], check=True, timeout=30 * SLACK)


def open_machine(page: Page, up: RunningUp, query: str = "") -> None:
    page.goto(f"{up.url}/resources/{machine(up)['id']}{query}")
    drawn(page)


def test_the_machine_is_found_by_search_and_its_legend_says_what_the_api_says(
    running_up: RunningUp, signed_in: Enter
) -> None:
    name = machine(running_up)["name"]
    page = signed_in()
    expect(page.get_by_role("article")).to_have_count(1)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Resources").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Resources")
    page.locator("html.scripted").wait_for()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Search")).to_be_focused()
    typed = name[: max(3, len(name) - 1)]
    page.keyboard.type(typed)
    expect(page).to_have_url(re.compile(rf"[?&]q={re.escape(typed)}(&|$)"))
    page.wait_for_load_state("networkidle")  # a list that is replaced under the pointer takes the press with it
    page.get_by_role("row").get_by_role("link", name=name, exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.locator("#lamp")).to_have_attribute("data-lamp", "live")

    shown = drawn(page)
    first, _ = newest(shown)
    wait_for(lambda: newest(shown)[0] > first, 3 * CYCLE, "a sample arrives live")
    time_ms, value = newest(shown)
    known = samples(running_up, time_ms - 60_000, time_ms + 60_000)
    assert known[time_ms] == value
    text = shown.locator("td.newest").first.inner_text()
    assert re.fullmatch(r"[\d.]+\s%", text)
    assert float(text.split()[0]) == pytest.approx(value * 100, rel=0.01, abs=0.006)


def test_dragging_zooms_and_the_address_keeps_it(running_up: RunningUp, signed_in: Enter) -> None:
    page = signed_in()
    open_machine(page, running_up)
    before = range_of(page)
    box = graph(page).locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 40, steps=5)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"from=\d+&to=\d+"))
    after = range_of(page)
    assert after[1] - after[0] == pytest.approx((before[1] - before[0]) / 4, rel=0.1)
    expect(page.locator("#lamp")).to_have_attribute("data-lamp", "off")

    page.reload()
    page.locator(f'section.graph[data-metric="{UTILIZATION}"]:not([data-state="loading"])').wait_for()
    assert range_of(page) == after
    page.go_back()
    expect(page.locator("#lamp")).to_have_attribute("data-lamp", "live")
    page.go_forward()
    page.get_by_role("button", name="Back to now").click()
    expect(page).to_have_url(re.compile(r"range=1h"))


def test_the_range_is_changed_by_the_picker_and_by_keys(running_up: RunningUp, signed_in: Enter) -> None:
    page = signed_in()
    open_machine(page, running_up)
    page.locator("details.time-picker > summary").click()
    page.get_by_role("link", name="15 minutes").click()
    expect(page).to_have_url(re.compile(r"range=15m"))
    start, end = range_of(page)
    assert end - start == 900_000
    drawn(page)
    page.get_by_role("button", name="Zoom in").press("Enter")
    start, end = range_of(page)
    assert end - start == 450_000
    page.get_by_role("button", name="Earlier").press("Enter")
    assert range_of(page)[0] == pytest.approx(start - 225_000, abs=2)
    page.get_by_role("link", name="Satellites").first.click()
    expect(page).to_have_url(re.compile(r"/satellites\?.*from=\d+&to=\d+"))


def test_a_graph_has_the_same_as_a_table(running_up: RunningUp, signed_in: Enter) -> None:
    page = signed_in()
    open_machine(page, running_up, "?range=15m")
    shown = drawn(page)
    shown.locator("summary").click()
    rows = shown.locator("details tbody tr")
    expect(rows.first).to_be_visible()
    start, end = range_of(page)
    assert rows.count() >= min(200, len(samples(running_up, start, end))) - 2


def test_a_paused_source_is_a_hatched_gap_with_its_reason(running_up: RunningUp, signed_in: Enter) -> None:
    page = signed_in()
    open_machine(page, running_up, "?range=15m")
    try:
        pause(running_up, "pause")
        expect(page.locator('#gaps li[data-reason="maintenance"]').first).to_contain_text(
            "paused for maintenance", timeout=5 * CYCLE * 1000 * SLACK
        )
        shown = page.locator(f'section.graph[data-metric="{UTILIZATION}"][data-gaps~="maintenance"]')
        shown.wait_for(timeout=5 * CYCLE * 1000 * SLACK)
        expect(page.locator("#health .state")).to_have_class(
            re.compile("state-unknown"), timeout=5 * CYCLE * 1000 * SLACK
        )
        gap_is_hatched(page)
    finally:
        pause(running_up, "resume")
    paused_at, _ = newest(graph(page))
    wait_for(lambda: newest(graph(page))[0] > paused_at, 3 * CYCLE, "samples arrive again")
    expect(page.locator(f'section.graph[data-metric="{UTILIZATION}"]')).to_have_attribute(
        "data-gaps", re.compile("maintenance")
    )


def gap_is_hatched(page: Page) -> None:
    """Hover over the newest end of the graph: the note says why, and the canvas there has more than one colour."""
    shown = graph(page)
    box = shown.locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 40)
    expect(shown.locator(".gap-note")).to_contain_text("paused for maintenance")
    colours = shown.locator("canvas").evaluate(
        """(canvas) => {
            const pixels = canvas.getContext("2d").getImageData(canvas.width - 26, 20, 6, 60).data;
            const found = new Set();
            for (let i = 0; i < pixels.length; i += 4) found.add(pixels.slice(i, i + 4).join());
            return found.size;
        }"""
    )
    assert colours > 2


def test_satellites_tell_how_they_are(running_up: RunningUp, signed_in: Enter) -> None:
    page = signed_in()
    page.goto(f"{running_up.url}/satellites")
    (satellite,) = running_up.api("/satellites")["items"]
    card = page.get_by_role("article")
    expect(card.get_by_role("heading")).to_contain_text(satellite["name"])
    expect(card).to_contain_text(satellite["version"])
    expect(card.get_by_role("row").filter(has_text="machine").locator(".state-ok")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_every_page_fits_in_both_themes(running_up: RunningUp, signed_in: Enter, scheme: str, width: int) -> None:
    options: dict[str, Any] = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    page = signed_in(**options)
    for path in ("/", "/resources", "/satellites", f"/resources/{machine(running_up)['id']}"):
        page.goto(running_up.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert too_small(page) == [], path
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in re.findall(r"\d+", background)[:3]) / 3
    assert (brightness > 128) == (scheme == "light")


def too_small(page: Page) -> list[str]:
    """Return what can be pressed and is lower than 24 px, words within a sentence apart (WCAG 2.2, 2.5.8)."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("a[href], button, summary, select, input:not([type=hidden])")]
            .filter((one) => one.checkVisibility() && !one.closest(".visually-hidden, .skip, p"))
            .filter((one) => one.getBoundingClientRect().height < 24)
            .map((one) => one.outerHTML.slice(0, 120))"""
    )
    return found


def test_the_theme_is_kept(running_up: RunningUp, signed_in: Enter) -> None:
    page = signed_in(color_scheme="light")
    page.locator("details.account > summary").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto(f"{running_up.url}/resources")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_spanish_speaks_spanish_everywhere(running_up: RunningUp, signed_in: Enter) -> None:
    page = signed_in(locale="es-ES")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sedes")
    for path, heading in {"/resources": "Recursos", "/satellites": "Satélites"}.items():
        page.goto(running_up.url + path)
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    open_machine(page, running_up)
    expect(page.locator("#lamp")).to_contain_text("En vivo")
    seen = page.locator("body").inner_text()
    for english in (
        "Graphs",
        "Newest",
        "At the cursor",
        "As a table",
        "Facts",
        "Identities",
        "Loading",
        " ago",
        "Live",
    ):
        assert not re.search(rf"(?<![\w.]){english}(?![\w.])", seen), english
    assert "hace " in seen


def test_the_language_is_kept_with_the_account(running_up: RunningUp, signed_in: Enter) -> None:
    page = signed_in(locale="en-GB")
    page.locator("details.account > summary").click()
    page.get_by_role("button", name="Español").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sedes")
    try:
        other = signed_in(locale="en-GB")
        expect(other.get_by_role("heading", level=1)).to_have_text("Sedes")
    finally:
        page.locator("details.account > summary").click()
        page.get_by_role("button", name="English").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Sites")
