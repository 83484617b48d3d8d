"""The group `ingest`: satellites that hand numpy arrays to `series`, to the acknowledgement after COMMIT, and peers.

All of them get the same data, one after the other in one run, each on a fresh database of the same kind; the ratios
are of that run.
"""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import psycopg
from fixtures.stack import Program, Stack, database, stack, start_gateway
from fixtures.waiting import wait_for

from bench import copy_peer, mix, progress, readback, victoriametrics, zabbix
from bench.findings import Findings
from bench.peers import AbsentError
from bench.plan import Plan
from shared.columns import I64

SETTINGS: Final = (
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_level",
    "wal_compression",
    "shared_buffers",
    "max_wal_size",
    "checkpoint_timeout",
    "data_checksums",
)
FEEDER_SECONDS: Final = 20


def run(plan: Plan) -> Findings:
    """Measure and return what was found."""
    found = Findings()
    for _ in range(plan.runs):
        with tempfile.TemporaryDirectory(prefix="nephoscope-bench-") as scratch:
            _run(plan, Path(scratch), found)
    return found


def _run(plan: Plan, scratch: Path, found: Findings) -> None:
    start_ms = _start_ms()
    with stack(scratch) as made:
        found.say(f"PostgreSQL: {_settings(made.database.url)}")
        ours = _ours(made, plan, start_ms, found)
    cpu = {name: 1e6 * used / ours.samples for name, used in ours.cpu_seconds.items()}
    _describe("Nephoscope", ours, found)
    found.found({"ingest.samples_per_s": ours.rate, "ingest.cpu_s_per_million": cpu["gateway"] + cpu["postgres"]})
    for name, key, measure in _peers(plan, scratch, start_ms, found):
        try:
            theirs = measure()
        except AbsentError as error:
            found.absent[key] = str(error)
        else:
            _describe(name, theirs, found)
            found.found({key: ours.rate / theirs.rate})


def _peers(
    plan: Plan, scratch: Path, start_ms: int, found: Findings
) -> Iterator[tuple[str, str, Callable[[], progress.Span]]]:
    """Yield name, key and measurement of each peer, with its database where it needs one."""
    with database(scratch / "copy") as server:
        yield "COPY with index", "ingest.ratio_to_copy_indexed", lambda: copy_peer.run(server, scratch, plan)
    yield (
        "VictoriaMetrics",
        "ingest.ratio_to_victoriametrics",
        lambda: victoriametrics.run(scratch, plan, start_ms, found),
    )
    with database(scratch / "zabbix") as server:
        yield "Zabbix", "ingest.ratio_to_zabbix", lambda: zabbix.run(server, scratch, plan, start_ms, found)


def _describe(name: str, span: progress.Span, found: Findings) -> None:
    cpu = ", ".join(f"{process} {1e6 * used / span.samples:.3f}" for process, used in span.cpu_seconds.items())
    found.say(f"{name}: {span.rate / 1e6:.3f} M samples/s over {span.seconds:.0f} s; CPU-s per million: {cpu}")


def _start_ms() -> int:
    """Return an instant of the past, so that no clock of a feeder runs ahead of the window that the gateway takes."""
    return (int(time.time() * 1000) - 30 * 86_400_000) // mix.INTERVAL_MS * mix.INTERVAL_MS


def _settings(url: str) -> str:
    with psycopg.connect(url) as connection:
        pairs = connection.execute(
            "SELECT name, current_setting(name) FROM unnest(%s::text[]) AS name", [list(SETTINGS)]
        )
        return ", ".join(f"{name}={value}" for name, value in pairs)


def _ours(made: Stack, plan: Plan, start_ms: int, found: Findings) -> progress.Span:
    """Measure the satellites, then compare what was stored with what they were given."""
    gateway = start_gateway(made)
    counts = progress.create(made.folder / "progress", plan.satellites)
    with _feeders(made, plan, start_ms) as running:
        wait_for(lambda: counts.all() or not _all_run(running), FEEDER_SECONDS, "every satellite delivers")
        roots = {"gateway": gateway.pid, "postgres": made.database.pid}
        roots |= {program.name: program.pid for program in running}
        span = progress.measure(counts, roots, plan.warm_up, plan.seconds)
        assert _all_run(running), next(program.tail() for program in running if not program.running())
    _check(made, plan, counts, start_ms, found)
    return span


def _all_run(programs: Sequence[Program]) -> bool:
    return all(program.running() for program in programs)


@contextlib.contextmanager
def _feeders(made: Stack, plan: Plan, start_ms: int) -> Iterator[list[Program]]:
    running = []
    for number in range(plan.satellites):
        config = made.satellite(f"feeder-{number}", {})
        arguments = (str(config), str(made.folder / "progress"), str(number), str(plan.guests), str(start_ms))
        program = made.program(f"feeder-{number}", "bench.feeder", *arguments)
        program.start()
        running.append(program)
    try:
        yield running
    finally:
        for program in running:
            program.stop()


def _check(made: Stack, plan: Plan, counts: I64, start_ms: int, found: Findings) -> None:
    """Read 1 % of the series back, every stored batch of them, and compare."""
    series = batches = 0
    for number in range(plan.satellites):
        identity = made.satellites[f"feeder-{number}"]
        checked = readback.check(made.database.url, identity.satellite_id, number, plan.guests, start_ms)
        acknowledged = int(counts[number]) // (plan.guests * len(mix.METRICS))
        assert checked.batches >= acknowledged, f"{acknowledged} batches acknowledged, {checked.batches} stored"
        series, batches = series + checked.series, batches + checked.batches
    found.say(f"{series} series in {batches} batches were read back and are equal to what was handed over")
