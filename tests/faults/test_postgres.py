"""PostgreSQL fails: restarted in a hurry, out of disk, out of connections. Nothing is lost, and all goes on by itself.

Gateway, readers and web are the product's commands, the satellite keeps producing; afterwards the ledger is the log.
NEPHOSCOPE_FAULT_RESTARTS sets the number of restarts (2).
"""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import psycopg
import pytest
from fixtures import accounting
from fixtures.stack import Disk, Program, Stack, free_port, stack
from fixtures.waiting import wait_for

from faults.settling import read_out, settle
from metaconsole.auth.accounts import create_token

SOURCES: Final = ("alpha", "beta")
RESTARTS: Final = int(os.environ.get("NEPHOSCOPE_FAULT_RESTARTS", "2"))
BATCHES: Final = 12  # that the satellite goes on to produce while nothing can be stored
FULL: Final = "the disk of PostgreSQL is full; free some space there"
TAKEN: Final = "PostgreSQL has no connection left"
STOPPED: Final = "PostgreSQL does not take"  # frames, or the definitions that come before them
BACK: Final = " again after "
OURS: Final = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'nephoscope%'"


@dataclass(frozen=True, slots=True)
class Scene:
    """All programs, running, and what the satellite produced."""

    made: Stack
    config: Path
    ledger: Path
    satellite: Program
    gateway: Program
    readers: Program
    web: Program
    port: int
    token: str

    def produced(self) -> int:
        return len(accounting.read_ledger(self.ledger))

    def stored(self) -> int:
        return accounting.stored(self.made.database.url)

    def grows(self) -> None:
        """Return when frames have been stored since now."""
        before = self.stored()
        wait_for(lambda: self.stored() > before, 60, "the log grows")

    def goes_on_producing(self) -> None:
        """Return when the satellite has produced some batches more."""
        before = self.produced()
        wait_for(lambda: self.produced() >= before + BATCHES, 60, "the satellite goes on producing")

    def ask(self, path: str, content: object = None) -> tuple[int, str]:
        """Return status and text of what the web answers, to a program that may read."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Accept", "application/json")
        if content is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(content).encode()
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def judge(self) -> None:
        """Let everything settle; then the ledger is the log, each sample once."""
        settle(self.made, {self.config: self.satellite}, self.ledger)
        read_out(self.made, {"facts"})
        produced, log = accounting.read_ledger(self.ledger), accounting.read_log(self.made.database.url)
        verdict = accounting.compare(produced, log)
        assert (verdict.lost, verdict.twice, verdict.wrong, verdict.in_doubt) == ([], [], [], [])
        assert len(log.frames) == len(set(log.frames)), "a frame stands twice in the log"
        assert log.ordinals == list(range(1, len(log.ordinals) + 1)), "the ordinals have holes"
        assert verdict.frames >= BATCHES, "the load was too small to prove anything"
        for program in (self.gateway, self.readers, self.web):
            assert program.running(), program.tail()


@contextmanager
def scene(folder: Path, disk: Disk | None = None) -> Iterator[Scene]:
    """Run everything, and wait until frames are stored and the web answers."""
    with stack(folder, disk) as made:
        ledger, port = folder / "ledger", free_port()
        config = made.satellite("patient", dict.fromkeys(SOURCES, "ledger"))
        satellite = made.program("satellite", "faults.satellite_program", str(config), str(ledger))
        programs = (satellite, made.gateway(), made.readers(), made.web(port))
        for program in programs:
            program.start()
        token = create_token(made.database.url, "test", "read")
        ready = Scene(made, config, ledger, *programs, port, token)
        wait_for(lambda: answers(ready, "/healthz"), 30, "the web answers")
        ready.grows()
        wait_for(lambda: "alpha" in ready.ask("/api/v1/resources")[1], 30, "the inventory is there")
        yield ready


def answers(one: Scene, path: str) -> bool:
    """Tell whether the web answers with a success."""
    try:
        return one.ask(path)[0] == 200
    except OSError:
        return False


def frames(connection: psycopg.Connection[tuple[Any, ...]]) -> int:
    """Return how many frames are stored."""
    rows = connection.execute("SELECT count(*) FROM log").fetchall()
    return int(rows[0][0])


def stores_nothing(one: Scene, disk: Disk, connection: psycopg.Connection[tuple[Any, ...]]) -> bool:
    """Tell whether no frame is stored while the satellite goes on producing.

    At first some are: pages that have room are filled, and a checkpoint or a transaction that ends gives files back.
    """
    disk.fill()
    before = frames(connection)
    one.goes_on_producing()
    return frames(connection) == before


def test_restarted_in_a_hurry_under_load(tmp_path: Path) -> None:
    with scene(tmp_path) as one:
        for _ in range(RESTARTS):
            one.made.database.stop_immediately()
            one.goes_on_producing()
            assert one.ask("/api/v1/resources")[0] == 503
            one.made.database.start()
            one.grows()
            wait_for(lambda: answers(one, "/api/v1/resources"), 30, "the web answers again")
        # The first time the satellite may have had definitions under way, so that no frame had come this far.
        assert one.gateway.said(STOPPED) >= RESTARTS - 1
        assert 1 <= one.gateway.said(BACK) <= one.gateway.said(STOPPED)
        assert one.readers.said("waits for PostgreSQL") >= RESTARTS
        assert one.readers.said("reads again") >= RESTARTS
        one.judge()


def test_out_of_disk(tmp_path: Path) -> None:
    disk = Disk()
    with scene(tmp_path, disk) as one, psycopg.connect(one.made.database.url, autocommit=True) as held:
        # On a connection of before: a new one may have to write a file first, and is refused then.
        disk.fill()
        wait_for(lambda: one.gateway.said(FULL), 60, "the gateway says that the disk is full")
        wait_for(lambda: stores_nothing(one, disk, held), 60, "frames are no longer stored")
        ups = one.gateway.said(BACK)
        # What is stored can be read, by people, too; what is not durable is not acknowledged.
        assert "alpha" in one.ask("/api/v1/resources")[1]
        status, text = one.ask("/api/v1/sign-in", {"name": "ana", "password": "wrong"})
        assert (status, "disk is full" in text) == (503, True), text
        assert one.web.said(FULL)
        assert one.gateway.said(STOPPED) <= 6 + 2 * ups, "a reason is told once an outage"
        waits, goes_on = one.readers.said("waits for PostgreSQL"), one.readers.said("reads again")
        assert waits <= 6 + 2 * goes_on, "a reason is told once an outage"
        disk.clear()
        one.grows()
        assert ups < one.gateway.said(BACK) <= one.gateway.said(STOPPED), one.gateway.tail()
        one.judge()


def test_all_connections_used(tmp_path: Path) -> None:
    with scene(tmp_path) as one, Hog(one.made.database.url) as hog:
        hog.push_out()
        wait_for(lambda: one.gateway.said(TAKEN), 60, "the gateway says that no connection is left")
        wait_for(lambda: one.readers.said(TAKEN), 60, "the readers say that no connection is left")
        stored = hog.stored()
        one.goes_on_producing()
        assert one.ask("/api/v1/resources")[0] == 503
        # The first one who asks may be told of the connection that was cut under the question.
        wait_for(
            lambda: one.web.said(TAKEN) or not one.ask("/api/v1/resources"), 60, "the web says why it can't answer"
        )
        # Who starts now finds none, either, and waits.
        for program in (one.gateway, one.readers, one.web):
            program.stop()
            program.start()
        wait_for(lambda: one.gateway.said("the gateway waits for PostgreSQL: " + TAKEN), 60, "the gateway waits")
        one.goes_on_producing()
        assert hog.stored() == stored, "a frame was stored without a connection"
        hog.let_go()
        one.grows()
        wait_for(lambda: answers(one, "/api/v1/resources"), 30, "the web answers again")
        one.judge()


class Hog:
    """Takes every connection that there is, with the role of our own programs, and pushes them out of theirs."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._held: list[psycopg.Connection[tuple[Any, ...]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()

    def push_out(self) -> None:
        """Return when nobody but this has a connection."""
        self._take()

        def alone() -> bool:
            for (pid,) in self._held[0].execute(OURS).fetchall():
                self._held[0].execute("SELECT pg_terminate_backend(%s)", [pid])
            self._take()
            return not self._held[0].execute(OURS).fetchall()

        wait_for(alone, 60, "our programs have no connection any more")

    def stored(self) -> int:
        """Return how many frames are stored."""
        return frames(self._held[0])

    def let_go(self) -> None:
        """Close every connection."""
        for connection in self._held:
            connection.close()
        self._held.clear()

    def _take(self) -> None:
        with pytest.raises(psycopg.OperationalError, match="too many clients"):
            self._held.extend(psycopg.connect(self._url, autocommit=True) for _ in range(1_000))
