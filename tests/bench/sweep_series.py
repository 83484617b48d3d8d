"""Scale: 10 thousand to 10 million distinct series, of one satellite up to ten with a million each, a site for each.

The satellites are those of the group `ingest`, in batches of 10,000 samples. First everything is new: until each series
is defined and has a sample that is acknowledged. Then they send as fast as they are answered, then each guest every
10 s. Then the readers rebuild the live view from all that came, and the web is asked.
"""

import asyncio
import itertools
import json
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
import psycopg
from fixtures.stack import Program, Stack, free_port, stack, start_gateway
from fixtures.waiting import wait_for

from bench import asking, day, feeder, mix, progress
from bench.asking import Request
from bench.findings import Findings
from bench.plan import Plan
from bench.storage import followed
from metaconsole.auth import accounts
from shared.columns import I64

SERIES: Final = (10_000, 100_000, 1_000_000, 10_000_000)
COLUMNS: Final = (
    "series",
    "satellites",
    "all defined after",
    "CPU-s of that: gateway, PostgreSQL",
    "dictionary, B a series",
    "samples/s",
    "CPU-s per million: gateway, PostgreSQL",
    "every 10 s: ack p99",
    "cores: gateway, PostgreSQL",
    "MiB: gateway, PostgreSQL, live reader",
    "live view rebuilt",
    "page of a site, p50 and p95",
    "graph beside them, p50 and p95",
)
SATELLITES: Final = 10  # that share the series, each with as many guests as make whole batches
MOST: Final = 2_500  # seconds a million definitions may take
DICTIONARY: Final = ("series", "resource", "resource_key", "epoch", "epoch_series", "source")
BESIDE_GUESTS: Final = 50
BESIDE_CYCLES: Final = 360  # an hour
PAGE: Final = 100
_READ_SECONDS: Final = 120
_MIB: Final = 1024 * 1024
# What the facts reader would have written of an inventory, put there by PostgreSQL itself.
_INVENTORY: Final = """
INSERT INTO resource_version (site_id, resource_id, valid_from, source_id, kind, name, state, state_since, attributes)
SELECT site_id, resource_id, now(), source_id, kind, key || ' of ' || source_id, 'running', now(),
       '{"os.type": "linux"}'
FROM resource_key
"""


@dataclass(frozen=True, slots=True)
class _Fleet:
    """Who has the series: satellites of so many guests each."""

    series: int

    @property
    def satellites(self) -> int:
        """As many as have a whole batch each, SATELLITES at most."""
        return max(1, min(SATELLITES, self.series // (len(mix.METRICS) * feeder.SOURCE_GUESTS)))

    @property
    def guests(self) -> int:
        """Of each satellite."""
        return self.series // self.satellites // len(mix.METRICS)


def run(plan: Plan, found: Findings, series: Sequence[int]) -> Iterator[list[str]]:
    """Measure each number of series and yield its row."""
    for count in series:
        with tempfile.TemporaryDirectory(prefix="nephoscope-bench-") as scratch, stack(Path(scratch)) as made:
            yield _row(plan, _Fleet(count), made)
    found.say(
        f"{plan.sweep_seconds:.0f} s at full speed, then {plan.sweep_seconds:.0f} s of a poll every 10 s; memory of"
        " PostgreSQL is that of all its processes, what they share counted once; the live reader's holds its map"
    )


def _row(plan: Plan, fleet: _Fleet, made: Stack) -> list[str]:
    gateway = start_gateway(made)
    counts = progress.create(made.folder / "progress", fleet.satellites)
    roots = {"gateway": gateway.pid, "postgres": made.database.pid}
    feeders = list(_feeders(made, fleet))
    cold = {name: progress.cpu_seconds(pid) for name, pid in roots.items()}
    for one in feeders:
        one.start()
    cells = [f"{fleet.series:,}", str(fleet.satellites), f"{_defined(made, fleet, counts, feeders):.1f} s"]
    cells.append(_pair({name: progress.cpu_seconds(pid) - cold[name] for name, pid in roots.items()}, ".1f"))
    cells.append(f"{_dictionary(made) / fleet.series:.0f}")
    span = progress.measure(counts, roots, plan.sweep_warm_up, plan.sweep_seconds)
    each = {name: 1e6 * used / span.samples for name, used in span.cpu_seconds.items()}
    cells += [f"{span.rate / 1e6:.2f} M", _pair(each, ".3f")]
    cores = _paced(feeders, roots, plan.sweep_seconds)
    memory = [_resident(gateway), _proportional(made)]
    for one in feeders:
        assert one.running(), one.tail()
        one.stop()
    assert gateway.running(), gateway.tail()
    cells += [f"{_ack_ms(made, feeders):.0f} ms", _pair(cores, ".2f")]
    start_ms = _start_ms()
    asyncio.run(day.write(made.database.url, 0, BESIDE_GUESTS, start_ms, BESIDE_CYCLES))
    readers, rebuilt = _rebuilt(made)
    cells.append(", ".join(f"{taken / _MIB:,.0f}" for taken in (*memory, _resident(readers))))
    cells.append(f"{rebuilt:.1f} s")
    views = _views(made, fleet, start_ms)
    token, port = accounts.create_token(made.database.url, "bench", "read"), free_port()
    web = asking.start_web(made, port)
    cells += [asking.spread(asking.ask(port, token, view, plan.asked)) for view in views]
    assert web.running(), web.tail()
    return cells


def _start_ms() -> int:
    return (int(time.time() * 1000) - 30 * 86_400_000) // 3_600_000 * 3_600_000


def _feeders(made: Stack, fleet: _Fleet) -> Iterator[Program]:
    for number in range(fleet.satellites):
        config = made.satellite(f"feeder-{number}", {}, site=f"bench-{number}")
        arguments = (str(config), str(made.folder / "progress"), str(number), str(fleet.guests), str(_start_ms()))
        yield made.program(f"feeder-{number}", "bench.feeder", *arguments)


def _defined(made: Stack, fleet: _Fleet, counts: I64, feeders: Sequence[Program]) -> float:
    """Wait until each series has a sample; return the seconds since the first satellite was greeted."""
    each = fleet.guests * len(mix.METRICS)
    wait_for(
        lambda: counts.min() >= each or not all(one.running() for one in feeders),
        20 + MOST * fleet.series / 1e6,
        "each series is defined and has a sample",
    )
    ended = time.time()
    for one in feeders:
        assert one.running(), one.tail()
    row = _one(made, "SELECT sum(series_through), extract(epoch FROM min(started_at)) FROM epoch")
    assert row[0] == fleet.series, f"{row[0]} series are defined, not {fleet.series}"
    return ended - float(row[1])


def _dictionary(made: Stack) -> int:
    tables = ", ".join(f"('{name}')" for name in DICTIONARY)
    row = _one(made, f"SELECT sum(pg_total_relation_size(name::regclass)) FROM (VALUES {tables}) AS named (name)")
    return int(row[0])


def _paced(feeders: Sequence[Program], roots: Mapping[str, int], seconds: float) -> dict[str, float]:
    """Let each guest be polled every 10 s; return the cores that it takes."""
    for one in feeders:
        assert one.process is not None
        one.process.send_signal(signal.SIGUSR1)
    time.sleep(feeder.SETTLE_SECONDS)
    began, before = time.monotonic(), {name: progress.cpu_seconds(pid) for name, pid in roots.items()}
    time.sleep(seconds)
    took = time.monotonic() - began
    return {name: (progress.cpu_seconds(pid) - before[name]) / took for name, pid in roots.items()}


def _ack_ms(made: Stack, feeders: Sequence[Program]) -> float:
    """Return the 99th percentile from a batch's append to its acknowledgement; infinite where it was not answered."""
    took = np.concatenate([np.diff(np.load(made.folder / one.name / feeder.ACKNOWLEDGED)).ravel() for one in feeders])
    return 1000 * float(np.percentile(took, 99, method="higher"))


def _rebuilt(made: Stack) -> tuple[Program, float]:
    """Start the readers; return them and the seconds until they have read all that came."""
    readers, began = made.readers(), time.monotonic()
    readers.start()
    wait_for(lambda: followed(made) or not readers.running(), _READ_SECONDS, "the readers have read everything")
    assert readers.running(), readers.tail()
    return readers, time.monotonic() - began


def _views(made: Stack, fleet: _Fleet, start_ms: int) -> list[Iterator[list[Request]]]:
    """Return what is asked: the first page of a site's resources, and an hour of one series of a satellite beside."""
    with psycopg.connect(made.database.url, autocommit=True) as connection:
        connection.execute(_INVENTORY.encode())
        connection.execute("ANALYZE")
        rows = connection.execute(
            "SELECT resource_id::text FROM resource_key JOIN site USING (site_id) WHERE site.name = 'site-0'"
        ).fetchall()
    listed = min(PAGE, fleet.guests)
    page = [
        Request("/resources?site=bench-0", None, lambda text: text.count(b"<tr>") == listed + 1),
        Request(
            f"/api/v1/resources?site=bench-0&limit={PAGE}", None, lambda text: len(json.loads(text)["items"]) == listed
        ),
    ]
    hour = {"from": start_ms, "to": start_ms + BESIDE_CYCLES * mix.INTERVAL_MS}
    series = itertools.cycle([(resource, metric) for metric in mix.METRICS for (resource,) in rows])

    def graphs() -> Iterator[list[Request]]:
        for resource, metric in series:
            select = [{"resource": resource, "metric": metric}]
            yield [Request("/api/v1/query", {"select": select, **hour}, _holds_hour)]

    return [itertools.repeat(page), graphs()]


def _holds_hour(text: bytes) -> bool:
    found = json.loads(text)["series"]
    return len(found) == 1 and len(found[0]["values"]) == BESIDE_CYCLES


def _pair(values: Mapping[str, float], form: str) -> str:
    return ", ".join(format(values[name], form) for name in ("gateway", "postgres"))


def _resident(program: Program) -> int:
    return int(psutil.Process(program.pid).memory_info().rss)


def _proportional(made: Stack) -> int:
    """Return the memory of all processes of PostgreSQL, what they share counted once."""
    root = psutil.Process(made.database.pid)
    return sum(one.memory_full_info().pss for one in [root, *root.children(recursive=True)])


def _one(made: Stack, statement: str) -> tuple[Any, ...]:
    with psycopg.connect(made.database.url) as connection:
        row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row
