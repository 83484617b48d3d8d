"""The group `query`: questions over HTTP to the web process that `nephoscope metaconsole web` starts, with a token.

Each question is asked of other series than the one before, once the pools and caches of every worker are warm.
"""

import asyncio
import itertools
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from fixtures.stack import Stack, free_port, stack

from bench import asking, mix, query_history, query_inventory
from bench.asking import Request
from bench.findings import Findings
from bench.plan import Plan
from metaconsole.auth import accounts
from metaconsole.store.pieces import DAY_MS, HOUR_MS

REQUESTS: Final = 150
WARM_UP: Final = 40
_SITES: Final = "big-0"
_STEP_MS: Final = 120_000  # what the page of a resource asks for over a day


def run(plan: Plan) -> Findings:
    """Measure and return what was found."""
    found = Findings()
    with tempfile.TemporaryDirectory(prefix="nephoscope-bench-") as scratch, stack(Path(scratch)) as made:
        began = time.monotonic()
        history = asyncio.run(query_history.write(made.database.url))
        count = query_inventory.write(made.database.url, made.folder / "run", int(time.time() * 1000))
        found.say(
            f"{count} series of inventory and {len(history.series)} with samples: {time.monotonic() - began:.0f} s"
        )
        token = accounts.create_token(made.database.url, "bench", "read")
        port = free_port()
        web = asking.start_web(made, port)
        for _ in range(plan.runs):
            for key, questions in _questions(_resources(made, history), history.end_ms).items():
                found.found({f"query.{key}_p95_ms": _measure(found, key, port, token, questions)})
        assert web.running(), web.tail()
    return found


def _resources(made: Stack, history: query_history.History) -> dict[int, str]:
    """Return the resource of each series with samples."""
    from metaconsole.store.database import connect

    with connect(made.database.url) as connection:
        rows = connection.execute(
            "SELECT series_id, resource_id::text FROM series WHERE series_id = ANY(%s)", [list(history.series.values())]
        ).fetchall()
    return dict(rows)


def _questions(resources: Mapping[int, str], end_ms: int) -> dict[str, Iterator[list[Request]]]:
    """Return what each key asks, for ever: the requests of one view."""
    guests = sorted(set(resources.values()))
    day, hour = {"from": end_ms - DAY_MS, "to": end_ms}, end_ms // HOUR_MS * HOUR_MS
    metrics = itertools.cycle(mix.METRICS)
    some = itertools.cycle(guests)

    def ask(names: Sequence[tuple[str, str]], points: int, **more: Any) -> list[Request]:
        select = [{"resource": resource, "metric": metric} for resource, metric in names]
        return [Request("/api/v1/query", {"select": select, **more}, lambda text: _holds(text, len(names), points))]

    def hundred() -> Iterator[list[Request]]:
        while True:
            metric, chosen = next(metrics), [next(some) for _ in range(100)]
            yield ask([(one, metric) for one in chosen], DAY_MS // _STEP_MS, **day, step=_STEP_MS, aggregate="last")

    def year() -> Iterator[list[Request]]:
        begin = hour // DAY_MS * DAY_MS - query_history.YEAR * DAY_MS
        steps = itertools.cycle([HOUR_MS, 6 * HOUR_MS, DAY_MS])
        aggregates = {"gauge": itertools.cycle(["avg", "max"]), "counter": itertools.cycle(["rate"])}
        for metric, kind in itertools.cycle(zip(query_history.YEAR_METRICS, aggregates, strict=True)):
            step = next(steps)
            yield ask(
                [(next(yearlings), metric)],
                query_history.YEAR * DAY_MS // step,
                **{"from": begin, "to": begin + query_history.YEAR * DAY_MS},
                step=step,
                aggregate=next(aggregates[kind]),
            )

    # The guests of the year are the first of the dictionary.
    yearlings = itertools.cycle([resources[one] for one in sorted(resources)[: query_history.YEAR_GUESTS]])
    top = {"kind": "guest", "metric": query_inventory.METRIC, "top": 20}
    now = {"from": end_ms - HOUR_MS, "to": end_ms}
    page = Request(f"/resources?site={_SITES}", None, lambda text: text.count(b"<tr>") == 101)
    listed = Request(
        f"/api/v1/resources?site={_SITES}&limit=100", None, lambda text: len(json.loads(text)["items"]) == 100
    )
    return {
        "series_24h": (ask([(next(some), next(metrics))], DAY_MS // mix.INTERVAL_MS, **day) for _ in itertools.count()),
        "series100_24h": hundred(),
        "series_1y": year(),
        "site_10k": itertools.repeat([page, listed]),
        "top20_1m": itertools.repeat(
            [Request("/api/v1/query", {"select": [top], **now}, lambda text: len(json.loads(text)["series"]) == 20)]
        ),
    }


def _holds(text: bytes, series: int, points: int) -> bool:
    """Tell whether all points are there; of a year one day may be missing, between its last and the newest one."""
    found = json.loads(text)["series"]
    few = points // query_history.YEAR
    return len(found) == series and all(
        len(one["values"]) == points and one["values"].count(None) <= few for one in found
    )


def _measure(found: Findings, key: str, port: int, token: str, views: Iterator[list[Request]]) -> float:
    """Return the 95th percentile of the milliseconds of a view."""
    took = asking.ask(port, token, views, WARM_UP + REQUESTS)
    low, median, high, worst = np.percentile(took[WARM_UP:], [5, 50, 95, 100]).tolist()
    found.say(
        f"query.{key}: p5 {low:.1f}, median {median:.1f}, p95 {high:.1f}, worst {worst:.1f} ms;"
        f" the very first {took[0]:.1f} ms"
    )
    return float(high)
