"""The spool as a state machine: append, acknowledge, crash at any byte, reopen; nothing is lost and nothing doubled."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from fixtures.spools import UnsyncedFiles, events_frame, ident
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from satellite.spool import Spool
from satellite.spool_epoch import EpochWriter

Number = tuple[bytes, int]


class SpoolMachine(RuleBasedStateMachine):
    """Keeps a plain dictionary beside the spool: what append returned for and nobody acknowledged."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="spool-machine-"))
        self.lives = 0
        self.runner = asyncio.Runner()
        self.spool: Spool
        self.waiting: dict[Number, int] = {}
        self.unkept: set[Number] = set()  # acknowledged, which a crash may forget
        self.offered_again: set[Number] = set()  # so forgotten: harmless, the metaconsole knows that it has them
        self.counter = 0

    @initialize()
    def start(self) -> None:
        EpochWriter.SEGMENT_BYTES = 200  # type: ignore[misc]  # several segments in a few steps
        self.spool = Spool(self._state(), lambda: 1, UnsyncedFiles())

    @rule(count=st.integers(1, 4))
    def append(self, count: int) -> None:
        async def scenario() -> list[int]:
            return await asyncio.gather(*(self.spool.append(events_frame(n)) for n in numbers))

        numbers = range(self.counter + 1, self.counter + 1 + count)
        for number, sequence in zip(numbers, self.runner.run(scenario()), strict=True):
            assert (self.spool.current.id, sequence) not in self.waiting
            self.waiting[self.spool.current.id, sequence] = number
        self.counter += count

    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        if not self.waiting:
            return
        for epoch, sequence in data.draw(st.sets(st.sampled_from(sorted(self.waiting)), max_size=6)):
            self.spool.acknowledge(epoch, [(sequence, sequence)])
            del self.waiting[epoch, sequence]
            self.unkept.add((epoch, sequence))

    @rule()
    def sweep(self) -> None:
        self.runner.run(self.spool.sweep())
        self.unkept.clear()

    @rule(torn=st.binary(max_size=40), whole=st.booleans(), cut=st.integers(0, 60))
    def crash_while_appending(self, torn: bytes, whole: bool, cut: int) -> None:
        """Leave behind what the next append might have written when the machine died: rubbish or part of a record."""
        before = {path: path.stat().st_size for path in self.spool.current.folder.glob("*.segment")}
        if whole and before:
            newest = max(before)
            self.runner.run(self.spool.append(events_frame(999_999)))  # nobody was told of its sequence
            if newest == max(self.spool.current.folder.glob("*.segment")):
                size = newest.stat().st_size
                torn = newest.read_bytes()[before[newest] : max(before[newest], size - 1 - cut)]
                with newest.open("r+b") as file:
                    file.truncate(before[newest])
            else:
                max(self.spool.current.folder.glob("*.segment")).unlink()
        if before:
            with max(before).open("ab") as file:
                file.write(torn)
        self._reopen()

    @rule()
    def crash_between_steps(self) -> None:
        self._reopen()

    @rule()
    def stop_and_start(self) -> None:
        self.runner.run(self.spool.close())
        self.unkept.clear()
        self.spool = Spool(self._state(), lambda: 1, UnsyncedFiles())

    @invariant()
    def all_that_waits_is_there_once(self) -> None:
        if not hasattr(self, "spool"):
            return
        pending = {
            (epoch.id, n)
            for epoch in self.spool.epochs
            for first, last in epoch.pending
            for n in range(first, last + 1)
        }
        assert set(self.waiting) <= pending <= set(self.waiting) | self.offered_again
        assert not any(epoch.lost for epoch in self.spool.epochs)

    def teardown(self) -> None:
        for epoch in self.spool.epochs if hasattr(self, "spool") else ():
            wanted = [n for epoch_id, n in self.waiting if epoch_id == epoch.id]
            frames = self.runner.run(self.spool.read(epoch, wanted))
            assert [ident(frame) for frame in frames] == [self.waiting[epoch.id, n] for n in wanted]
        if hasattr(self, "spool"):
            self.runner.run(self.spool.close())
        EpochWriter.SEGMENT_BYTES = 8 * 1024 * 1024  # type: ignore[misc]
        self.runner.close()
        shutil.rmtree(self.folder)

    def _state(self) -> Path:
        return self.folder / f"life-{self.lives}"

    def _reopen(self) -> None:
        """Go on from a copy of the disk, as after a kill: the dead process closes and syncs nothing there."""
        self.lives += 1
        self.offered_again |= self.unkept
        self.unkept = set()
        old = self.folder / f"life-{self.lives - 1}"
        shutil.copytree(old, self._state())
        dead, self.spool = self.spool, Spool(self._state(), lambda: 1, UnsyncedFiles())
        self.runner.run(dead.close())
        shutil.rmtree(old)


TestSpoolMachine = SpoolMachine.TestCase
TestSpoolMachine.settings = settings(
    max_examples=25, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
