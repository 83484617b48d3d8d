"""Long outages and many restarts: everything that was collected meanwhile arrives, the first minute included.

The three days pass in seconds: the satellite's clock begins in the past and runs fast until it has caught up.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final
from unittest.mock import ANY

import psycopg
from fixtures import accounting
from fixtures.stack import Program, stack
from fixtures.waiting import wait_for

from faults.settling import judge_all, settle
from shared.pb import uplink_pb2

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
OUTAGE_MS: Final = 72 * HOUR_MS
FAST: Final = 15_000  # times: 72 hours in 17 s
LIVE_SECONDS: Final = 5
SOURCES: Final = {"alpha": "ledger"}
BATCHES: Final = 5
LIVE, BACKFILL = uplink_pb2.LANE_LIVE, uplink_pb2.LANE_BACKFILL


def test_three_days_with_two_restarts(tmp_path: Path) -> None:
    with stack(tmp_path) as made:
        ledger, config = tmp_path / "ledger", made.satellite("patient", SOURCES)
        began = time.time_ns() // 1_000_000 - OUTAGE_MS
        ended = began + OUTAGE_MS

        def life(number: int, *clock: int) -> Program:
            name = f"satellite-{number}"
            return made.program(name, "faults.satellite_program", str(config), str(ledger), *map(str, clock))

        lived(life(1, began, 1), lambda: len(accounting.read_ledger(ledger)) >= BATCHES)
        lived(life(2, began + MINUTE_MS, FAST), lambda: newest_of(ledger) > ended - HOUR_MS)
        third = life(3)
        third.start()
        wait_for(lambda: newest_of(ledger) >= ended, 30, "the third life collects")
        made.gateway().start()
        wait_for(lambda: third.said("is back after"), 60, "the satellite is connected")
        now = time.time_ns() // 1_000_000
        newest = partial(accounting.newest_ms, made.database.url)
        wait_for(lambda: newest() >= now, LIVE_SECONDS, "what is collected now is stored")
        settle(made, {config: third}, ledger)
        judge_all(made.database.url, ledger)
        times = [max(line.times) for line in accounting.read_ledger(ledger)]
        assert min(times) < began + MINUTE_MS, "the first minute is not there"
        assert sum(began + MINUTE_MS < time < ended for time in times) > 72 * 4, "too few to prove anything"
        assert lanes_of(made.database.url) == [(LIVE, 1), (BACKFILL, ANY)], "the newest came first"


def lived(satellite: Program, enough: Callable[[], bool]) -> None:
    """Let a satellite run until it is enough."""
    satellite.start()
    wait_for(enough, 60, f"{satellite.name} has collected enough")
    satellite.stop()


def newest_of(ledger: Path) -> int:
    """Return the newest instant that was collected, UTC milliseconds."""
    return max((max(line.times) for line in accounting.read_ledger(ledger)), default=0)


def lanes_of(url: str) -> list[tuple[int, int]]:
    """Return the lanes that were used, each with the place in the log of its first frame."""
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT lane, min(ordinal) FROM log GROUP BY lane ORDER BY lane").fetchall()


def test_restart_ladder(tmp_path: Path) -> None:
    with stack(tmp_path) as made:
        ledger, config = tmp_path / "ledger", made.satellite("harried", SOURCES)
        satellite = made.program("satellite", "faults.satellite_program", str(config), str(ledger))
        gateway = made.gateway()
        gateway.start()
        satellite.start()

        def goes_on(program: Program) -> None:
            stored = accounting.stored(made.database.url)
            wait_for(lambda: accounting.stored(made.database.url) > stored + BATCHES, 60, f"{program.name} goes on")

        goes_on(satellite)
        for program in (satellite, satellite, satellite, gateway, gateway, satellite):
            program.kill()
            program.start()
            goes_on(program)
        settle(made, {config: satellite}, ledger)
        judge_all(made.database.url, ledger)
