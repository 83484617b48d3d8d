"""The groups `storage` and `readers`: a day of the mix at 10 s from four satellites, read by every reader.

Bytes: the chunks with their grids and indexes, and of the log what a steady day keeps of it. WAL: all that was written
for log, parts, chunks, rollups and positions, and for the end of the parts. CPU: the readers' processes and PostgreSQL
while they read.
"""

import asyncio
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

import psycopg
from fixtures.stack import Program, Stack, stack
from fixtures.waiting import wait_for

from bench import day, progress, victoriametrics
from bench.findings import Findings
from bench.peers import AbsentError
from bench.plan import Plan
from metaconsole.store.database import connected
from metaconsole.store.retention import PARTS_STAY, drop_merged_parts

# Of a day's log, at the worst moment: an hour, which was read a minute after its end, goes 20 minutes after it, at the
# next look at the storage, which is each 10 minutes; so much of the next hour has come by then.
KEPT: Final = (1 + 20 / 60 + 10 / 60) / 24
_DAY_MS: Final = 86_400_000
_READ_SECONDS: Final = 300
# Measured on 2026-11-25 with an hour of the mix in memory, by process time, cProfile and `perf record`.
_PROFILE: Final = (
    (
        "profile, compactor and merger: CPU-s per million for the log's blocks 0.013, packing hours by pcodec "
        "0.007 (level 0), factors and aggregates before that 0.009, rows for COPY 0.001; page faults are a tenth of all"
    ),
    "alternative built: hours at pcodec level 2 instead of 0: 0.005 CPU-s more, 0.17 B of WAL less",
    (
        "alternative built: a pcodec chunk of 16 series with a page each, level 2: 0.008 CPU-s to pack, not 0.012, "
        "at 1.16 instead of 1.11 B; level 0 in files of their own takes 0.0066 and keeps the format"
    ),
)
_PEER_GUESTS: Final = 100  # bytes a sample do not depend on how many


def run(plan: Plan) -> Findings:
    """Return what was found of the group `storage`."""
    return _measured(plan)["storage"]


def readers(plan: Plan) -> Findings:
    """Return what was found of the group `readers`."""
    return _measured(plan)["readers"]


@cache
def _measured(plan: Plan) -> Mapping[str, Findings]:
    found = {"storage": Findings(), "readers": Findings()}
    for _ in range(plan.runs):
        with tempfile.TemporaryDirectory(prefix="nephoscope-bench-") as scratch, stack(Path(scratch)) as made:
            _run(plan, made, found["storage"], found["readers"])
    return found


def _run(plan: Plan, made: Stack, storage: Findings, reading: Findings) -> None:
    start_ms = (int(time.time() * 1000) - 30 * _DAY_MS) // _DAY_MS * _DAY_MS
    wal = [_wal(made)]
    url, cycles = made.database.url, plan.day_cycles
    # The live reader follows while the log grows, as it always does: what is read late costs PostgreSQL a copy of its
    # pages, for the hints that the first reader leaves there.
    following = made.readers()
    following.start()
    samples = sum(asyncio.run(day.write(url, n, plan.guests, start_ms, cycles)) for n in range(plan.satellites))
    wait_for(lambda: followed(made), _READ_SECONDS, "the readers have read everything")
    _ended(following)
    wal.append(_wal(made))
    log = _bytes(made, "log") / samples
    cpu = _read(made, samples, reading)
    _check(made, samples)
    sizes = {table: _bytes(made, table) / samples for table in ("chunk", "chunk_grid", "rollup", "part", "part_grid")}
    asyncio.run(_drop_parts(url))
    wal.append(_wal(made))
    chunks = sizes["chunk"] + sizes["chunk_grid"]
    written = [(after - before) / samples for before, after in pairwise(wal)]
    storage.found(
        {
            "storage.bytes_per_sample": chunks + KEPT * log,
            "storage.rollup_bytes_per_sample": sizes["rollup"],
            "storage.wal_bytes_per_sample": sum(written),
        }
    )
    reading.found({"readers.cpu_s_per_million": sum(cpu.values())})
    storage.say(
        f"{samples / 1e6:.0f} M samples; chunks {chunks:.3f} B a sample, the log {log:.2f}, of which {KEPT:.3f} stays; "
        f"WAL {written[0]:.2f} for the log, {written[1]:.2f} for parts, chunks, rollups and the parts' end"
    )
    storage.say(f"parts while their day lasts: {sizes['part'] + sizes['part_grid']:.3f} B, gone with their partition")
    peer = made.folder / "peer"
    peer.mkdir()
    try:
        data, index = victoriametrics.bytes_per_sample(peer, _PEER_GUESTS, cycles, start_ms)
    except AbsentError as error:
        storage.say(f"VictoriaMetrics was not measured: {error}")
    else:
        storage.say(f"VictoriaMetrics on the same mix: {data:.3f} B a sample, and {index:.3f} of index")


def _read(made: Stack, samples: int, reading: Findings) -> Mapping[str, float]:
    """Run each reader over everything, from the beginning, and return CPU-s per million samples by process."""
    cpu: dict[str, float] = {}
    with psycopg.connect(made.database.url) as connection:
        connection.execute("UPDATE reader_position SET ordinal = 0, received_at = 'epoch' WHERE reader <> 'facts'")
    for program in (made.readers(), made.program("compactor", "bench.compacting", made.database.url)):
        before, began = progress.cpu_seconds(made.database.pid), time.monotonic()
        program.start()
        used = 0.0
        while program.running() and not (program.name.startswith("readers") and followed(made)):
            used = progress.cpu_seconds(program.pid)
            time.sleep(0.05)
            assert time.monotonic() - began < _READ_SECONDS, program.tail()
        seconds = time.monotonic() - began
        _ended(program)
        cpu[program.name] = 1e6 * used / samples
        cpu[f"postgres for {program.name}"] = 1e6 * (progress.cpu_seconds(made.database.pid) - before) / samples
        reading.say(f"{program.name}: {samples / seconds / 1e6:.1f} M samples/s")
    reading.say("CPU-s per million: " + ", ".join(f"{name} {value:.4f}" for name, value in cpu.items()))
    for line in _PROFILE:
        reading.say(line)
    return cpu


def _ended(program: Program) -> None:
    if program.running():
        program.stop()
    assert program.process is not None
    assert program.process.returncode == 0, program.tail()


def followed(made: Stack) -> bool:
    """Return whether every reader that follows the log has read all of it."""
    return bool(
        _one(
            made,
            """SELECT count(*) > 0 AND count(*) = 2 * (SELECT count(*) FROM satellite) FROM reader_position
               JOIN satellite USING (site_id, satellite_id)
               WHERE ordinal = head AND (reader = 'facts' OR reader LIKE 'live@%')""",
        )
    )


def _check(made: Stack, samples: int) -> None:
    """Everything is in chunks, once."""
    stored = _one(made, "SELECT sum(samples) FROM chunk")
    assert stored == samples, f"{stored} samples in chunks of {samples}"
    assert _one(made, "SELECT count(*) FROM unmerged_part") == 0


async def _drop_parts(url: str) -> None:
    """Drop the parts as the retention does once their day is merged for a while."""
    async with connected(url, application="nephoscope bench") as connection:
        dropped = await drop_merged_parts(connection, datetime.now(UTC) + 2 * PARTS_STAY)
    assert len(dropped) >= 2, f"only {dropped} were dropped"


def _bytes(made: Stack, table: str) -> float:
    return float(
        str(
            _one(
                made,
                f"SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0) FROM pg_inherits "
                f"WHERE inhparent = '{table}'::regclass",
            )
        )
    )


def _wal(made: Stack) -> float:
    return float(str(_one(made, "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")))


def _one(made: Stack, statement: str) -> object:
    with psycopg.connect(made.database.url) as connection:
        row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row[0]
