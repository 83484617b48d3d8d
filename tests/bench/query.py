"""The group `query`: questions over HTTP to the web process that `nephoscope metaconsole web` starts, with a token.

Each question is asked of other series than the one before, over connections that stay open, one after the other, once
the pools and caches of every worker are warm. What counts is from sending the request to the last byte of the answer.
"""

import asyncio
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

import numpy as np
from fixtures.stack import Program, Stack, free_port, stack
from fixtures.waiting import wait_for

from bench import mix, query_history, query_inventory
from bench.findings import Findings
from bench.plan import Plan
from metaconsole.auth import accounts
from metaconsole.store.pieces import DAY_MS, HOUR_MS

REQUESTS: Final = 150
WARM_UP: Final = 40
CONNECTIONS: Final = 6  # of both workers
_START_SECONDS: Final = 20
_SITES: Final = "big-0"
_STEP_MS: Final = 120_000  # what the page of a resource asks for over a day


@dataclass(frozen=True, slots=True)
class Request:
    """One request, and what its answer has to hold."""

    path: str
    body: dict[str, Any] | None
    check: Callable[[bytes], bool]


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
        web = _start(made, port)
        for _ in range(plan.runs):
            for key, questions in _questions(_resources(made, history), history.end_ms).items():
                found.found({f"query.{key}_p95_ms": _measure(found, key, port, token, questions)})
        assert web.running(), web.tail()
    return found


def _start(made: Stack, port: int) -> Program:
    web = made.web(port)
    web.start()

    def answers() -> bool:
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False

    wait_for(lambda: answers() or not web.running(), _START_SECONDS, "the web answers")
    assert web.running(), web.tail()
    return web


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
    connections = [HTTPConnection("127.0.0.1", port, timeout=30) for _ in range(CONNECTIONS)]
    took = []
    for number, requests in enumerate(itertools.islice(views, WARM_UP + REQUESTS)):
        connection, milliseconds = connections[number % CONNECTIONS], 0.0
        for request in requests:
            body = None if request.body is None else json.dumps(request.body)
            headers = {
                "Authorization": f"Bearer {token}",
                "Accept": "text/html" if body is None else "application/json",
            }
            if body is not None:
                headers["Content-Type"] = "application/json"
            began = time.perf_counter()
            connection.request("GET" if body is None else "POST", request.path, body, headers)
            response = connection.getresponse()
            text = response.read()
            milliseconds += 1000 * (time.perf_counter() - began)
            assert response.status == 200, f"{request.path}: {response.status} {text[:500]!r}"
            assert request.check(text), f"{key}: the answer is not what was asked for: {text[:500]!r}"
        took.append(milliseconds)
    for connection in connections:
        connection.close()
    low, median, high, worst = np.percentile(took[WARM_UP:], [5, 50, 95, 100]).tolist()
    found.say(
        f"query.{key}: p5 {low:.1f}, median {median:.1f}, p95 {high:.1f}, worst {worst:.1f} ms;"
        f" the very first {took[0]:.1f} ms"
    )
    return float(high)
