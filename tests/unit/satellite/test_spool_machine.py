"""The spool as a state machine: append, acknowledge, drop at the bound, crash at any byte, reopen, a restored centre.

Every frame waits, was taken or is lost, and is one of these only; what is lost was the oldest.
"""

import asyncio
import shutil
import tempfile
from pathlib import Path

from fixtures.spools import UnsyncedFiles, events_frame, ident
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from satellite.bounds import Bounds
from satellite.epoch_writer import EpochWriter
from satellite.segments import FRAME_COST
from satellite.spool import Spool
from shared.pb.telemetry_pb2 import GAP_REASON_DROPPED

Number = tuple[bytes, int]
BOUNDS = Bounds(9 * FRAME_COST, days=7, keep_hours=24, ballast_bytes=0)
HOUR_MS = 3_600_000
BEGAN_MS = 4_000_000_000_000  # later than the real clock, which files are stamped with


class SpoolMachine(RuleBasedStateMachine):
    """Keeps a plain dictionary beside the spool: what append returned for and nobody acknowledged."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="spool-machine-"))
        self.lives = 0
        self.hours = 0.0
        self.runner = asyncio.Runner()
        self.spool: Spool
        self.waiting: dict[Number, int] = {}
        self.acknowledged: dict[Number, int] = {}
        self.unkept: set[Number] = set()  # acknowledged, which a crash may forget
        self.offered_again: set[Number] = set()  # so forgotten: harmless, the metaconsole knows that it has them
        self.counter = 0

    @initialize()
    def start(self) -> None:
        EpochWriter.SEGMENT_BYTES = 150  # type: ignore[misc]  # several segments in a few steps
        self.spool = self._opened()

    @rule(count=st.integers(1, 4))
    def append(self, count: int) -> None:
        async def scenario() -> list[int]:
            return await asyncio.gather(*(self.spool.append(events_frame(n)) for n in numbers))

        numbers = range(self.counter + 1, self.counter + 1 + count)
        for number, sequence in zip(numbers, self.runner.run(scenario()), strict=True):
            assert (self.spool.current.id, sequence) not in self.waiting
            self.waiting[self.spool.current.id, sequence] = number
        self.counter += count

    @rule(times=st.integers(3, 9))
    def append_in_turn(self, times: int) -> None:
        """Fill segments, and the spool to its bound."""
        for _ in range(times):
            self.append(1)

    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        """Acknowledge frames, and losses that were declared."""
        if not self.waiting:
            return
        for epoch, sequence in data.draw(st.lists(st.sampled_from(list(self.waiting)), max_size=12, unique=True)):
            self.spool.acknowledge(epoch, [(sequence, sequence)])
            self.acknowledged[epoch, sequence] = self.waiting.pop((epoch, sequence))
            self.unkept.add((epoch, sequence))

    @rule()
    def sweep(self) -> None:
        self.runner.run(self.spool.sweep())
        self.unkept.clear()

    @rule(hours=st.sampled_from([0.5, 5, 30, 200]))
    def time_passes(self, hours: float) -> None:
        self.hours += hours

    @rule()
    def centre_is_restored(self) -> None:
        """All that is still here waits again, and what was dropped is declared again."""
        self.spool.forget_acknowledged()
        self.runner.run(self.spool.sweep())  # as the session does, before it says that it knows
        self.unkept.clear()
        for number in [number for number in self.acknowledged if number in self._offered()]:
            self.waiting[number] = self.acknowledged.pop(number)

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
        if left := sorted(path for path in before if path.exists()):
            with left[-1].open("ab") as file:
                file.write(torn)
        self._reopen()

    @rule()
    def crash_between_steps(self) -> None:
        self._reopen()

    @rule()
    def stop_and_start(self) -> None:
        self.runner.run(self.spool.close())
        self.unkept.clear()
        self.spool = self._opened()

    @invariant()
    def all_that_waits_is_there_once(self) -> None:
        if not hasattr(self, "spool"):
            return
        pending, lost = self._numbers("pending"), self._numbers("lost")
        assert not set(pending) & set(lost)
        assert set(self.waiting) <= {*pending, *lost} <= set(self.waiting) | self.offered_again
        assert all(loss.reason == GAP_REASON_DROPPED for epoch in self.spool.epochs for loss in epoch.losses())
        order = {epoch.id: place for place, epoch in enumerate(self.spool.epochs)}
        newest_lost = max(((order[epoch], n) for epoch, n in lost), default=(-1, 0))
        oldest_pending = min(((order[epoch], n) for epoch, n in pending), default=(len(order), 0))
        assert newest_lost < oldest_pending, "something newer was dropped, and something older not"

    @invariant()
    def the_bound_is_kept(self) -> None:
        if not hasattr(self, "spool"):
            return
        old = self.spool.epochs[:-1]
        if any(epoch.segments for epoch in old) or len(self.spool.current.segments) > 2:
            # An append finds room before it writes: at most a group of four is above the bound after a crash.
            assert self.spool.depth().held_bytes <= BOUNDS.bytes + 5 * FRAME_COST  # type: ignore[operator]

    def teardown(self) -> None:
        for epoch in self.spool.epochs if hasattr(self, "spool") else ():
            wanted = [n for epoch_id, n in self.waiting if epoch_id == epoch.id and n in epoch.pending]
            frames = self.runner.run(self.spool.read(epoch, wanted))
            assert [ident(frame) for frame in frames] == [self.waiting[epoch.id, n] for n in wanted]
        if hasattr(self, "spool"):
            self.runner.run(self.spool.close())
        EpochWriter.SEGMENT_BYTES = 8 * 1024 * 1024  # type: ignore[misc]
        self.runner.close()
        shutil.rmtree(self.folder)

    def _numbers(self, name: str) -> list[Number]:
        return [
            (epoch.id, n)
            for epoch in self.spool.epochs
            for first, last in getattr(epoch, name)
            for n in range(first, last + 1)
        ]

    def _offered(self) -> set[Number]:
        return {*self._numbers("pending"), *self._numbers("lost")}

    def _opened(self) -> Spool:
        return Spool(
            self.folder / f"life-{self.lives}",
            lambda: BEGAN_MS + round(self.hours * HOUR_MS),
            UnsyncedFiles(),
            BOUNDS,
            monotonic=lambda: self.hours * 3600,
        )

    def _reopen(self) -> None:
        """Go on from a copy of the disk, as after a kill: the dead process closes and syncs nothing there."""
        self.lives += 1
        self.offered_again |= self.unkept
        self.unkept = set()
        old = self.folder / f"life-{self.lives - 1}"
        shutil.copytree(old, self.folder / f"life-{self.lives}")
        dead, self.spool = self.spool, self._opened()
        self.runner.run(dead.close())
        shutil.rmtree(old)


TestSpoolMachine = SpoolMachine.TestCase
TestSpoolMachine.settings = settings(
    max_examples=20, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
