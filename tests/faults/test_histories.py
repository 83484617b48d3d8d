"""Histories of a satellite and its metaconsole: clones, restored spools, restored databases; every frame once.

The spool, the satellite's session, and the store on a real PostgreSQL are the product's; between them is a function
call. NEPHOSCOPE_FAULT_HISTORIES sets the number of histories (60).
"""

import asyncio
import os
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from faults.centre import Centre
from faults.wire import ClonedSatellite, Link
from metaconsole.store.database import connect_async
from satellite.epoch_writer import EpochWriter

HISTORIES: Final = int(os.environ.get("NEPHOSCOPE_FAULT_HISTORIES", "60"))
DISKS: Final = 3
KEPT: Final = 2  # copies of a spool and of the database that a history may go back to
Number = tuple[bytes, int]

which = st.integers(0, 5)
moments = st.dictionaries(st.integers(0, 6), st.tuples(st.sampled_from(["deliver", "back up", "restore"]), which))


class HistoryMachine(RuleBasedStateMachine):
    """One identity on up to three disks, one database; beside them what was produced, and what was ever stored."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="histories-"))
        self.runner = asyncio.Runner()
        self.connection = self.runner.run(connect_async(url))
        # A crash of the server is no part of these histories.
        self.runner.run(self.connection.execute("SET synchronous_commit = off"))
        self.runner.run(self.connection.commit())
        self.centre = Centre(url, self.connection)
        self.folders = 0
        self.disks = [self.installed()]
        self.copies: list[Path] = []
        self.produced: dict[Number, int] = {}
        self.ever: set[Number] = set()  # stored at some time, in this life of the database or in one before
        self.stored: set[Number] = set()

    # --- what a satellite does

    @rule(at=which, count=st.integers(1, 4), later=st.booleans())
    def produce(self, at: int, count: int, later: bool) -> None:
        """Append frames, in the same minute or an hour later, so that older ones are no longer live."""
        disk = self.disk(at)
        disk.clock.ms += 3_600_000 if later else 1
        idents = range(len(self.produced) + 1, len(self.produced) + 1 + count)
        for number, ident in zip(self.runner.run(disk.append(idents)), idents, strict=True):
            assert number not in self.produced, "a number was used twice"
            self.produced[number] = ident

    @rule(at=which, frames=st.integers(0, 12), acknowledged=st.booleans(), told=st.booleans(), moments=moments)
    def deliver_some(
        self, at: int, frames: int, acknowledged: bool, told: bool, moments: dict[int, tuple[str, int]]
    ) -> None:
        """Connect, send so many frames, lose the connection and perhaps every answer; meanwhile things happen."""
        interrupts = {number: partial(self.happen, at, *what) for number, what in moments.items()}
        self.runner.run(self.disk(at).deliver(self.centre, Link(frames, acknowledged, told, interrupts)))

    async def happen(self, at: int, what: str, which: int) -> None:
        """Do something in the middle of the session of a disk, whose gateway does not notice."""
        if what == "deliver" and self.disk(which) is not self.disk(at):
            await self.disk(which).deliver(self.centre)
        elif what == "back up":
            self.back_up()
        elif what == "restore" and self.centre.dumps:
            self.restore(which)

    @rule(at=which)
    def deliver_all(self, at: int) -> None:
        self.runner.run(self.disk(at).deliver(self.centre))

    @rule(at=which, clean=st.booleans())
    def restart(self, at: int, clean: bool) -> None:
        disk = self.disk(at)
        if clean:
            self.sweep_of(disk)
            self.runner.run(disk.stop())
            disk.start()
        else:
            self.replace(at, disk.folder)

    @rule(at=which)
    def sweep(self, at: int) -> None:
        self.sweep_of(self.disk(at))

    @rule(at=which)
    def lose_session_state(self, at: int) -> None:
        """Lose the file that says which life of the metaconsole was seen last; the next run knows of none."""
        disk = self.disk(at)
        (disk.folder / "session.json").unlink(missing_ok=True)
        self.replace(at, disk.folder)

    # --- disks that are copied

    @rule(at=which)
    def copy_spool(self, at: int) -> None:
        self.copies = [*self.copies, self.copied(self.disk(at).folder)][-KEPT:]

    @precondition(lambda self: self.copies)
    @rule(at=which, copy=which)
    def restore_spool(self, at: int, copy: int) -> None:
        """Put an older copy in a disk's place; what only that disk held is gone with it."""
        self.replace(at, self.copies[copy % len(self.copies)])

    @precondition(lambda self: len(self.disks) < DISKS)
    @rule(at=which)
    def clone(self, at: int) -> None:
        """Run a second satellite, of the same identity, on a copy of a disk whose satellite goes on."""
        self.disks.append(self.installed(self.disk(at).folder))

    # --- a database that goes back

    @rule()
    def back_up(self) -> None:
        self.look()
        self.centre.back_up(KEPT)

    @precondition(lambda self: self.centre.dumps)
    @rule(dump=which)
    def restore(self, dump: int) -> None:
        self.look()
        self.centre.restore(dump)
        self.stored = set()

    # --- what has to hold

    @invariant()
    def look(self) -> None:
        """Everything that is stored is stored once, and right, and stays."""
        found = self.centre.read()
        assert len(found.frames) == len(set(found.frames)), "a frame is stored twice"
        assert found.ordinals == list(range(1, len(found.ordinals) + 1))
        assert found.taken == set(found.frames), "what counts as taken is not what is stored"
        assert {number: self.produced.get(number) for number in found.frames} == dict(
            zip(found.frames, found.idents, strict=True)
        )
        assert self.stored <= found.taken, "what was stored is gone"
        self.stored = found.taken
        self.ever |= found.taken

    def teardown(self) -> None:
        try:
            for disk in self.disks:
                self.runner.run(disk.deliver(self.centre))
            for disk in self.disks:  # a clone may have delivered after it what this one was told of before
                self.runner.run(disk.deliver(self.centre))
                assert disk.pending() == set(), "a satellite has frames left that it can't deliver"
            self.look()
            for disk in self.disks:
                assert disk.held() <= self.stored, "a spool holds a frame that is not stored"
        finally:
            for disk in self.disks:
                self.runner.run(disk.stop())
            self.centre.close()
            self.runner.run(self.connection.close())
            self.runner.close()
            shutil.rmtree(self.folder)

    # --- helpers

    def disk(self, at: int) -> ClonedSatellite:
        return self.disks[at % len(self.disks)]

    def sweep_of(self, disk: ClonedSatellite) -> None:
        """Sweep, which may only remove what the metaconsole once had."""
        before = disk.held()
        self.runner.run(disk.sweep())
        assert before - disk.held() <= self.ever, "a frame that was never stored was removed from a spool"

    def installed(self, source: Path | None = None) -> ClonedSatellite:
        """Start a satellite on a new disk, or on a copy of one."""
        return ClonedSatellite(self.copied(source) if source else self.fresh())

    def replace(self, at: int, source: Path) -> None:
        """Kill the satellite of a disk and start one on what is in the source, as it is at this instant."""
        fresh = self.copied(source)
        at %= len(self.disks)
        self.runner.run(self.disks[at].stop())
        self.disks[at] = ClonedSatellite(fresh)

    def copied(self, source: Path) -> Path:
        target = self.fresh()
        shutil.copytree(source, target)
        return target

    def fresh(self) -> Path:
        self.folders += 1
        return self.folder / f"disk-{self.folders}"


def test_every_frame_once_whatever_is_cloned_or_restored(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EpochWriter, "SEGMENT_BYTES", 200)  # several segments in a few steps
    run_state_machine_as_test(
        lambda: HistoryMachine(database_url),  # type: ignore[arg-type]  # it takes whatever makes a machine
        settings=settings(
            max_examples=HISTORIES,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
