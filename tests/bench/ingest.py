"""The group `ingest`: satellites that hand numpy arrays to `series`, to the acknowledgement after COMMIT, and its peer.

Both sides run on the same kind of fresh database, one after the other, in one run; the ratio is of that run.
"""

import contextlib
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import psycopg
from fixtures.stack import Program, Stack, database, stack, start_gateway
from fixtures.waiting import wait_for

from bench import copy_peer, mix, progress, readback
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


def run(plan: Plan) -> Mapping[str, Sequence[float]]:
    """Measure and return the values of each run by key."""
    runs: dict[str, list[float]] = {}
    for number in range(plan.runs):
        for key, value in _run(plan, number).items():
            runs.setdefault(key, []).append(value)
    return runs


def _run(plan: Plan, number: int) -> Mapping[str, float]:
    with tempfile.TemporaryDirectory(prefix="nephoscope-bench-") as scratch:
        with stack(Path(scratch)) as made:
            if not number:
                print(f"PostgreSQL: {_settings(made.database.url)}")
            ours = _ours(made, plan)
        with database(Path(scratch) / "peer") as peer:
            copied = copy_peer.run(peer, Path(scratch), plan)
    cpu = {name: 1e6 * used / ours.samples for name, used in ours.cpu_seconds.items()}
    print(f"ours {ours.rate / 1e6:.2f} M samples/s, COPY with index {copied.rate / 1e6:.2f} M rows/s")
    print("CPU-s per million: " + ", ".join(f"{name} {used:.3f}" for name, used in cpu.items()))
    return {
        "ingest.samples_per_s": ours.rate,
        "ingest.ratio_to_copy_indexed": ours.rate / copied.rate,
        "ingest.cpu_s_per_million": cpu["gateway"] + cpu["postgres"],
    }


def _settings(url: str) -> str:
    with psycopg.connect(url) as connection:
        pairs = connection.execute(
            "SELECT name, current_setting(name) FROM unnest(%s::text[]) AS name", [list(SETTINGS)]
        )
        return ", ".join(f"{name}={value}" for name, value in pairs)


def _ours(made: Stack, plan: Plan) -> progress.Span:
    """Measure the satellites, then compare what was stored with what they were given."""
    gateway = start_gateway(made)
    counts = progress.create(made.folder / "progress", plan.satellites)
    # Instants of the past, so that no clock of the satellites runs ahead of the window that the gateway takes.
    start_ms = (int(time.time() * 1000) - 30 * 86_400_000) // mix.INTERVAL_MS * mix.INTERVAL_MS
    with _feeders(made, plan, start_ms) as running:
        wait_for(lambda: counts.all() or not _all_run(running), FEEDER_SECONDS, "every satellite delivers")
        roots = {"gateway": gateway.pid, "postgres": made.database.pid}
        roots |= {program.name: program.pid for program in running}
        span = progress.measure(counts, roots, plan.warm_up, plan.seconds)
        assert _all_run(running), next(program.tail() for program in running if not program.running())
    _check(made, plan, counts, start_ms)
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


def _check(made: Stack, plan: Plan, counts: I64, start_ms: int) -> None:
    """Read 1 % of the series back, every stored batch of them, and compare."""
    began = time.monotonic()
    for number in range(plan.satellites):
        identity = made.satellites[f"feeder-{number}"]
        checked = readback.check(made.database.url, identity.satellite_id, number, plan.guests, start_ms)
        acknowledged = int(counts[number]) // (plan.guests * len(mix.METRICS))
        assert checked.batches >= acknowledged, f"{acknowledged} batches acknowledged, {checked.batches} stored"
        print(f"feeder-{number}: {checked.series} series of {checked.batches} batches read back and equal")
    print(f"read back in {time.monotonic() - began:.1f} s")
