"""How a test reads the dashboard: the machine's page, its graphs, and what the API says of the same."""

from typing import Any, Final

from fixtures.up import RunningUp
from playwright.sync_api import Locator, Page

UTILIZATION: Final = "system.cpu.utilization"


def machine(up: RunningUp) -> dict[str, Any]:
    """Return the host that `up` watches, as the API has it."""
    found: list[dict[str, Any]] = up.api("/resources?kind=host")["items"]
    return next(one for one in found if one["source"] == "machine")


def graph(page: Page, metric: str = UTILIZATION) -> Locator:
    """Return the graph of a metric on the page."""
    return page.locator(f'section.graph[data-metric="{metric}"]')


def drawn(page: Page, metric: str = UTILIZATION) -> Locator:
    """Return the graph once it holds samples."""
    found = page.locator(f'section.graph[data-metric="{metric}"][data-state="drawn"]')
    found.wait_for()
    return found


def newest(one: Locator) -> tuple[int, float]:
    """Return time (UTC ms) and value of the legend's first row, unrounded."""
    cell = one.locator("td.newest").first
    return int(cell.get_attribute("data-time") or 0), float(cell.get_attribute("data-value") or "nan")


def samples(up: RunningUp, from_ms: int, to_ms: int, metric: str = UTILIZATION) -> dict[int, float]:
    """Return what the API has of a metric of the machine, by instant."""
    body = {"select": [{"resource": machine(up)["id"], "metric": metric}], "from": from_ms, "to": to_ms, "step": None}
    series = up.api("/query", body | {"aggregate": "avg"})["series"]
    return {} if not series else dict(zip(series[0]["times"], series[0]["values"], strict=True))
