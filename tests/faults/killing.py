"""A seeded schedule of SIGKILLs over a satellite, a gateway and a postmaster, and what each kill met.

The promise: every process that dies is started again at once; between two bursts of kills the log grows, so that no
schedule only restarts; and a kill counts as one that met unacknowledged frames only when the metaconsole had not taken
a frame that the ledger named before the kill.
"""

import math
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fixtures import accounting
from fixtures.stack import Database, Program
from fixtures.waiting import SLACK

SATELLITE_POINTS: Final = tuple(
    f"{place}.{side}" for place in ("spool.append", "spool.fdatasync", "uplink.send") for side in ("before", "after")
)
GATEWAY_POINTS: Final = tuple(
    f"{place}.{side}" for place in ("store.commit", "gateway.ack") for side in ("before", "after")
)
READER_POINTS: Final = tuple(f"reader.commit.{side}" for side in ("before", "after"))
COMPACTOR_POINTS: Final = (*READER_POINTS, *(f"merger.commit.{side}" for side in ("before", "after")))
PATIENCE: Final = 60.0  # seconds until the log grows again, or a process passes its failpoint
BURST_SECONDS: Final = 0.8
LOOK_SECONDS: Final = 0.1  # between two looks into the database, each of which is a connection


@dataclass(slots=True)
class Victim:
    """One process under the schedule: for each of its lives the failpoint it dies at, or "" for a random instant."""

    name: str
    lives: list[str]
    start: Callable[[str], None]
    kill: Callable[[], None]
    died: Callable[[], int | None]  # the exit code of a process that is gone

    def begin(self) -> None:
        """Start its next life."""
        self.start(self.lives[0] if self.lives else "")


@dataclass(slots=True)
class Tally:
    """What the kills met."""

    kills: dict[str, int] = field(default_factory=dict)
    by_themselves: dict[str, int] = field(default_factory=dict)
    met_unacknowledged: int = 0
    points: dict[str, int] = field(default_factory=dict)


def lives(seed: int, name: str, points: Sequence[str], kills: int) -> list[str]:
    """Return how each life ends: half at failpoints, each of them in turn, half at random instants."""
    chance = random.Random(f"{seed} {name}")
    named = [f"{points[number % len(points)]}={chance.randint(1, 4)}" for number in range(kills // 2)] if points else []
    ends = named + [""] * (kills - len(named))
    chance.shuffle(ends)
    return ends


class Killer:
    """Runs the schedule to its end in this one thread."""

    def __init__(self, seed: int, victims: Sequence[Victim], ledger: Path, database: Database) -> None:
        self.tally = Tally(kills={victim.name: 0 for victim in victims})
        self._victims = victims
        self._chance = random.Random(seed)
        self._ledger = ledger
        self._database = database
        self._noted = 0  # bytes of the ledger at the last look
        self._stored = 0  # frames at the last kill
        self._since = time.monotonic()  # the last kill
        self._looked = 0.0
        self._due: list[tuple[float, Victim]] = []

    def run(self, seconds: float = math.inf) -> None:
        """Kill until every life of every victim is used up, or the seconds are over; all of them run afterwards."""
        end = time.monotonic() + seconds
        while any(victim.lives for victim in self._victims) and time.monotonic() < end:
            for victim in self._victims:
                if (code := victim.died()) is not None:
                    self._found_dead(victim, code)
            self._kill_due()
            self._plan_burst()
            self._noted = self._ledger.stat().st_size if self._ledger.exists() else 0
            time.sleep(0.01)

    def _plan_burst(self) -> None:
        """Choose one to three victims for the next burst, once the log has grown since the last kill."""
        now = time.monotonic()
        if self._due or now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        if accounting.stored(self._database.url) <= self._stored:
            left = {victim.name: victim.lives[:1] for victim in self._victims}
            assert now - self._since < PATIENCE * SLACK, f"the log did not grow for {PATIENCE:g} s; next were {left}"
            return
        at_random = [victim for victim in self._victims if victim.lives and not victim.lives[0]]
        chosen = self._chance.sample(at_random, min(len(at_random), self._chance.randint(1, 3)))
        self._due = [(now + self._chance.uniform(0, BURST_SECONDS), victim) for victim in chosen]

    def _kill_due(self) -> None:
        now = time.monotonic()
        due = [(when, victim) for when, victim in self._due if when <= now]
        self._due = [entry for entry in self._due if entry not in due]
        for _, victim in due:
            if victim.lives and not victim.lives[0]:
                victim.kill()
                self._killed(victim)

    def _found_dead(self, victim: Victim, code: int) -> None:
        if code == -signal.SIGKILL and victim.lives and victim.lives[0]:
            name = victim.lives[0].partition("=")[0]
            self.tally.points[name] = self.tally.points.get(name, 0) + 1
            self._killed(victim)
        else:
            # What a supervisor does: whatever ended by itself is started again, and its end is told.
            self.tally.by_themselves[victim.name] = self.tally.by_themselves.get(victim.name, 0) + 1
            victim.begin()

    def _killed(self, victim: Victim) -> None:
        noted = self._ledger.read_bytes()[: self._noted].decode() if self._ledger.exists() else ""
        produced = accounting.parse_ledger(noted)
        victim.lives.pop(0)
        victim.begin()
        taken = accounting.taken(self._database.url)
        self._stored, self._since = accounting.stored(self._database.url), time.monotonic()
        self.tally.kills[victim.name] += 1
        self.tally.met_unacknowledged += any(not accounting.holds(taken, line.frame) for line in produced)


def program(victim: Program, ends: list[str]) -> Victim:
    """Return a program of ours as a victim."""
    return Victim(
        victim.name, ends, victim.start, victim.kill, lambda: None if victim.process is None else victim.process.poll()
    )


def postmaster(server: Database, ends: list[str]) -> Victim:
    """Return the postmaster as a victim; it is up again when start returns."""
    return Victim("postmaster", ends, lambda _: server.start(), server.kill, lambda: None)
