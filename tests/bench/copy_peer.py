"""Measures the peer: COPY BINARY of the same rows by as many connections as there are satellites."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
from fixtures.stack import Database, environment

from bench import copy_feeder, progress
from bench.plan import Plan


def run(database: Database, folder: Path, plan: Plan) -> progress.Span:
    """Feed the indexed table for the planned time and return what was committed meanwhile."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(copy_feeder.TABLE)
    counts = progress.create(folder / "copy.progress", plan.satellites)
    with feeders(database.url, folder / "copy.progress", plan):
        span = progress.measure(counts, {"postgres": database.pid}, plan.warm_up, plan.seconds)
    with psycopg.connect(database.url, autocommit=True) as connection:
        stored = connection.execute("SELECT count(*) FROM rows").fetchone()
        connection.execute("DROP TABLE rows")
    committed = 0 if stored is None else stored[0]
    assert committed == counts.sum(), f"COPY stored {committed} rows, its feeders counted {counts.sum()}"
    return span


@contextlib.contextmanager
def feeders(url: str, counts: Path, plan: Plan) -> Iterator[None]:
    """Run the feeding processes, started together and ended politely."""
    start_ms = int(time.time() * 1000)
    command = [sys.executable, "-m", "bench.copy_feeder", url, str(counts)]
    tail = [str(plan.guests), str(start_ms)]
    running = [
        subprocess.Popen([*command, str(number), *tail], cwd=Path(__file__).parents[1], env=environment())
        for number in range(plan.satellites)
    ]
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        codes = [process.wait(30) for process in running]
    assert not any(codes), f"a feeder of the COPY peer failed: {codes}"
