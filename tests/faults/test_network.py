"""The line between a site and the centre fails: cut, deaf in one direction, slow, lossy, reordering, resetting.

Satellite and gateway are the real ones, each in a network namespace; afterwards the ledger is the log, each sample
once.
NEPHOSCOPE_FAULT_ROUNDS sets how often the line fails in each way (1).
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import psycopg
from fixtures import accounting
from fixtures.network import Network, network
from fixtures.stack import Program, Stack, stack
from fixtures.waiting import wait_for

from faults.settling import judge_all, settle

SOURCES: Final = ("alpha", "beta")
ROUNDS: Final = int(os.environ.get("NEPHOSCOPE_FAULT_ROUNDS", "1"))
NOTICED_SECONDS: Final = 20  # a line that is dead without a word, by either end
LIVE_SECONDS: Final = 5  # after a session began again
BACK_SECONDS: Final = 60  # the longest wait between two tries
LOST_PER_MILLE: Final = 20  # of packets, each way
KBIT: Final = 256
BROAD_KBIT: Final = 100_000
OUTAGE_MS: Final = 10 * 24 * 3_600_000
FAST: Final = 30_000  # times
QUEUED: Final = 60 * ROUNDS  # batches of 8 KiB: on the line at once they would hold it up for 15 s
BACKLOG: Final = 36 * ROUNDS  # of them, that arrive while it is looked
CYCLES: Final = 2
SLOWEST_CYCLE: Final = 1.0  # seconds, of LedgerCollector's plans
LOOKS: Final = 5
LOST: Final = " is lost: "
BACK: Final = " is back after "
OVER: Final = " is over"


@dataclass(frozen=True, slots=True)
class Scene:
    """A satellite, a gateway and the line between them."""

    made: Stack
    line: Network
    config: Path
    ledger: Path
    satellite: Program
    gateway: Program

    def stored(self) -> int:
        return accounting.stored(self.made.database.url)

    def survives(self, failure: Callable[[], None], end: Callable[[], None]) -> None:
        """Let the line fail until both ends have noticed; after its end what is collected is stored at once."""
        lost, over, back = self.satellite.said(LOST), self.gateway.said(OVER), self.satellite.said(BACK)
        failure()
        wait_for(lambda: self.satellite.said(LOST) > lost, NOTICED_SECONDS, "the satellite notices")
        wait_for(lambda: self.gateway.said(OVER) > over, NOTICED_SECONDS, "the gateway notices")
        end()
        wait_for(lambda: self.satellite.said(BACK) > back, BACK_SECONDS, "the satellite connects again")
        stored_at_once(self.made, LIVE_SECONDS)

    def judge(self) -> None:
        """Let everything settle; then the ledger is the log, each sample once."""
        settle(self.made, {self.config: self.satellite}, self.ledger)
        judge_all(self.made.database.url, self.ledger)


@contextmanager
def scene(folder: Path, line: Network) -> Iterator[Scene]:
    """Run both ends, and wait until frames are stored."""
    with stack(folder, network=line) as made:
        ledger = folder / "ledger"
        config = made.satellite("remote", dict.fromkeys(SOURCES, "ledger"))
        satellite = made.program("satellite", "faults.satellite_program", str(config), str(ledger))
        gateway = made.gateway()
        gateway.start()
        satellite.start()
        ready = Scene(made, line, config, ledger, satellite, gateway)
        wait_for(lambda: ready.stored() > 0, 30, "the first frames are stored")
        yield ready


def test_cut_and_deaf(tmp_path: Path) -> None:
    with network() as line, scene(tmp_path, line) as one:
        for deaf in ROUNDS * [(line.site,), (line.centre,), (line.site, line.centre)]:
            one.survives(partial(line.cut, *deaf), line.heal)
        one.judge()
        replayed = one.ledger.with_suffix(".replayed").read_text(encoding="ascii").split()
        assert sum(map(int, replayed)) > 0, "acknowledgements were lost, so frames were offered that had been taken"


def test_backfill_over_a_narrow_line_leaves_room_for_what_is_collected_now(tmp_path: Path) -> None:
    with network() as line, stack(tmp_path, network=line) as made:
        ledger, config = tmp_path / "ledger", made.satellite("remote", {accounting.WIDE: "ledger"})
        outage = (str(config), str(ledger), str(time.time_ns() // 1_000_000 - OUTAGE_MS), str(FAST))
        past = made.program("satellite-past", "faults.satellite_program", *outage)
        past.start()
        wait_for(lambda: len(accounting.read_ledger(ledger)) >= QUEUED, 60, "a backlog is there")
        past.stop()
        # What is collected now is small, so that what it waits for is the backlog.
        config.write_text(config.read_text("utf-8").replace(f"sources.{accounting.WIDE}", "sources.alpha"), "utf-8")
        line.narrow(KBIT)
        satellite = made.program("satellite", "faults.satellite_program", str(config), str(ledger))
        made.gateway().start()
        satellite.start()
        wait_for(lambda: backfilled(made) > 0, 60, "the backlog begins to arrive")
        looks = 0
        while backfilled(made) < BACKLOG:
            stored_at_once(made, CYCLES * SLOWEST_CYCLE)
            looks += 1
        assert looks > LOOKS, "the backlog was through before anything could be seen"
        line.narrow(BROAD_KBIT)  # what is left proves nothing more
        settle(made, {config: satellite}, ledger)
        judge_all(made.database.url, ledger)


def stored_at_once(made: Stack, seconds: float) -> None:
    """Return when what is collected now is stored, which is to take no longer."""
    now = time.time_ns() // 1_000_000
    wait_for(lambda: accounting.newest_ms(made.database.url) >= now, seconds, "what is collected now is stored")


def backfilled(made: Stack) -> int:
    """Return how many frames came in the lane behind."""
    with psycopg.connect(made.database.url) as connection:
        rows = connection.execute("SELECT count(*) FROM log WHERE lane = 2 AND kind = 1").fetchall()
    return int(rows[0][0])


def test_slow_lossy_and_resetting(tmp_path: Path) -> None:
    with network(delay_ms=125, jitter_ms=20) as line, scene(tmp_path, line) as one:
        line.lose(LOST_PER_MILLE)
        for _ in range(2 * ROUNDS):
            one.survives(line.reset, partial(line.lose, LOST_PER_MILLE))
        one.judge()
