"""Measures the peer: COPY BINARY of the same rows by as many connections as there are satellites."""

import time
from pathlib import Path
from typing import Final

import psycopg
from fixtures.stack import Database
from fixtures.waiting import wait_for

from bench import copy_feeder, peers, progress
from bench.plan import Plan

START_SECONDS: Final = 60


def run(database: Database, folder: Path, plan: Plan) -> progress.Span:
    """Feed the indexed table for the planned time and return what was committed meanwhile."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(copy_feeder.TABLE)
    counts = progress.create(folder / "copy.progress", plan.satellites)
    arguments, tail = (database.url, folder / "copy.progress"), (plan.guests, int(time.time() * 1000))
    with peers.feeders("bench.copy_feeder", plan.satellites, arguments, tail) as alive:
        wait_for(lambda: counts.all() or not alive(), START_SECONDS, "every feeder of COPY delivers")
        span = progress.measure(counts, {"postgres": database.pid}, plan.warm_up, plan.seconds)
    with psycopg.connect(database.url, autocommit=True) as connection:
        stored = connection.execute("SELECT count(*) FROM rows").fetchone()
        connection.execute("DROP TABLE rows")
    committed = 0 if stored is None else stored[0]
    assert committed == counts.sum(), f"COPY stored {committed} rows, its feeders counted {counts.sum()}"
    return span
