"""At the spool's bounds: what was acknowledged goes first, then the oldest; a drop is on the disk before it happens."""

import asyncio
import os
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from fixtures.dying import Dead, DyingFiles
from fixtures.spools import UnsyncedFiles, events_frame, ident

from satellite.bounds import MIB, Bounds, default_bytes
from satellite.drops import MOST, Drop, Loss, added, of_file, parts, to_file
from satellite.epoch_writer import EpochWriter
from satellite.records import HEAD_BYTES, scan
from satellite.segments import FRAME_COST
from satellite.spool import Spool
from satellite.spool_epoch import SpoolEpoch
from satellite.spool_errors import SpoolFullError
from shared import columns
from shared.pb import telemetry_pb2 as pb
from shared.pb import uplink_pb2

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Clock:
    """Both clocks, which a test turns."""

    def __init__(self) -> None:
        self.ms = 1_800_000_000_000
        self.seconds = 1000.0

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.seconds

    def passes(self, hours: float) -> None:
        self.ms += round(hours * HOUR_MS)
        self.seconds += hours * 3600


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def _a_segment_for_each_append(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EpochWriter, "SEGMENT_BYTES", 1)


def bounds(frames: int = 1_000_000, days: float = 7, keep_hours: float = 24) -> Bounds:
    """Return bounds for so many small frames."""
    return Bounds(frames * FRAME_COST, days, keep_hours, ballast_bytes=0)


@asynccontextmanager
async def opened(state: Path, clock: Clock, bounds: Bounds, files: UnsyncedFiles | None = None) -> AsyncIterator[Spool]:
    spool = Spool(state, clock.now_ms, files or UnsyncedFiles(), bounds, monotonic=clock.monotonic)
    try:
        yield spool
    finally:
        await spool.close()


async def append(spool: Spool, *numbers: int) -> None:
    for number in numbers:
        await spool.append(events_frame(number))


def batch_frame(instants: int) -> uplink_pb2.Frame:
    """Return a batch of two series at so many instants."""
    batch = pb.Batch(source="s", plan="p", interval_ms=1000)
    batch.times.CopyFrom(columns.encode(np.arange(1, instants + 1, dtype=np.int64)))
    block = batch.blocks.add(metric="m", scope=pb.TIME_SCOPE_BATCH)
    block.series.CopyFrom(columns.encode(np.array([1, 2], dtype=np.int64)))
    return uplink_pb2.Frame(batch=batch)


def losses(spool: Spool) -> list[tuple[int, int, int, pb.GapReason]]:
    found = [loss for epoch in spool.epochs for loss in epoch.losses()]
    return [(loss.drop.first, loss.drop.last, loss.drop.samples, loss.reason) for loss in found]


async def waiting(spool: Spool) -> list[int]:
    found = []
    for epoch in spool.epochs:
        sequences = [n for first, last in epoch.pending for n in range(first, last + 1)]
        found += [ident(frame) for frame in await spool.read(epoch, sequences)]
    return found


def files(state: Path, pattern: str) -> list[Path]:
    return sorted(state.rglob(pattern))


def segments(state: Path) -> list[int]:
    return [int(path.stem) for path in files(state, "*.segment")]


def test_at_the_bound_the_acknowledged_go_first_and_then_the_oldest_that_wait(tmp_path: Path, clock: Clock) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds(frames=6)) as spool:
            await append(spool, 1, 2, 3, 4, 5, 6)
            spool.acknowledge(spool.current.id, [(3, 4)])
            await append(spool, 7, 8)
            assert segments(tmp_path) == [1, 2, 5, 6, 7, 8]
            assert not losses(spool)
            await append(spool, 9, 10)
            assert segments(tmp_path) == [5, 6, 7, 8, 9, 10]
            assert await waiting(spool) == [5, 6, 7, 8, 9, 10]
            assert [(first, last) for first, last, _, _ in losses(spool)] == [(1, 1), (2, 2)]
            assert spool.dropped == (2, 0)
            assert spool.depth().held_bytes <= spool.bound

    asyncio.run(scenario())


def test_what_is_dropped_is_declared_with_its_span_and_samples_over_restarts(tmp_path: Path, clock: Clock) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds(frames=3)) as spool:
            began = clock.ms
            for instants in (1, 2, 3, 4, 5):
                await spool.append(batch_frame(instants))
                clock.ms += 10
            epoch = spool.current.id
            assert spool.dropped == (2, 2 * (1 + 2))
        for _ in range(2):
            async with opened(tmp_path, clock, bounds(frames=3)) as again:
                old = next(one for one in again.epochs if one.id == epoch)
                assert old.losses() == [
                    Loss(Drop(1, 1, began, began, 2), pb.GAP_REASON_DROPPED),
                    Loss(Drop(2, 2, began + 10, began + 10, 4), pb.GAP_REASON_DROPPED),
                ]
                assert list(old.offered()) == [(1, 5)]
        async with opened(tmp_path, clock, bounds(frames=3)) as last:
            last.acknowledge(epoch, [(1, 2)])
            assert losses(last) == []
            await last.sweep()
        async with opened(tmp_path, clock, bounds(frames=3)) as spool:
            assert losses(spool) == [], "the acknowledgement of a loss is kept"
            assert [list(one.offered()) for one in spool.epochs if one.id == epoch] == [[(3, 5)]]

    asyncio.run(scenario())


def test_an_epoch_of_which_all_was_dropped_is_declared_and_its_folder_goes_after_that(
    tmp_path: Path, clock: Clock
) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds(frames=4)) as spool:
            await spool.define([pb.SeriesDefinition(id=1, metric="m")])
            await append(spool, 1, 2)
            old = spool.current.id
        async with opened(tmp_path, clock, bounds(frames=4)) as spool:
            await append(spool, 3, 4, 5, 6)
            (first, _) = spool.epochs
            assert (first.id, list(first.lost), first.definitions.through) == (old, [(1, 2)], 0)
            assert sorted(path.name for path in first.folder.iterdir()) == ["dropped", "taken"]
        async with opened(tmp_path, clock, bounds(frames=4)) as spool:
            assert [(one.id, list(one.lost)) for one in spool.epochs[:1]] == [(old, [(1, 2)])]
            spool.acknowledge(old, [(1, 2)])
            await spool.sweep()
            assert old not in [one.id for one in spool.epochs]
            assert not list((tmp_path / "spool").glob(f"*-{old.hex()}"))

    asyncio.run(scenario())


def test_the_oldest_run_gives_first(tmp_path: Path, clock: Clock) -> None:
    async def scenario() -> None:
        for number in (1, 2, 3):
            async with opened(tmp_path, clock, bounds()) as spool:
                await append(spool, number)
        async with opened(tmp_path, clock, bounds(frames=4)) as spool:
            await append(spool, 4, 5, 6)
            assert await waiting(spool) == [3, 4, 5, 6]

    asyncio.run(scenario())


def test_a_bound_below_what_is_there_is_kept_at_once(tmp_path: Path, clock: Clock) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds()) as spool:
            await append(spool, *range(1, 9))
        async with opened(tmp_path, clock, bounds(frames=3)) as spool:
            await spool.sweep()
            assert await waiting(spool) == [6, 7, 8]
            assert spool.dropped == (5, 0)

    asyncio.run(scenario())


def test_definitions_count_for_the_bound(tmp_path: Path, clock: Clock) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds(frames=4)) as spool:
            await append(spool, 1, 2, 3)
            await spool.define([pb.SeriesDefinition(id=1, metric="m" * 2 * FRAME_COST)])
            assert await waiting(spool) == [3]

    asyncio.run(scenario())


def test_an_acknowledged_segment_is_kept_for_its_time_over_restarts_and_offered_to_a_restored_centre(
    tmp_path: Path, clock: Clock
) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds()) as spool:
            await append(spool, 1, 2)
            old = spool.current.id
            clock.passes(hours=48)  # an outage: it is the acknowledgement from which on a segment is kept
            spool.acknowledge(old, [(1, 2)])
        clock.passes(hours=20)
        async with opened(tmp_path, clock, bounds()) as spool:
            await spool.sweep()
            assert (await waiting(spool), segments(tmp_path)) == ([], [1, 2])
            spool.forget_acknowledged()
            assert await waiting(spool) == [1, 2]
            spool.acknowledge(old, [(1, 2)])
            await spool.sweep()
            clock.passes(hours=23)
            await spool.sweep()
            assert segments(tmp_path) == [1, 2], "kept anew since it was acknowledged anew"
            clock.passes(hours=2)
            await spool.sweep()
            assert segments(tmp_path) == []
            assert [one.id for one in spool.epochs] == [spool.current.id]

    asyncio.run(scenario())


def test_a_restored_centre_is_told_again_what_was_dropped(tmp_path: Path, clock: Clock) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds(frames=2)) as spool:
            await append(spool, 1, 2, 3)
            spool.acknowledge(spool.current.id, [(1, 3)])
            await spool.sweep()
            spool.forget_acknowledged()
            assert [(first, last, reason) for first, last, _, reason in losses(spool)] == [
                (1, 1, pb.GAP_REASON_DROPPED)
            ]
            assert await waiting(spool) == [2, 3]

    asyncio.run(scenario())


def test_what_waits_for_too_long_is_dropped_by_whichever_clock_says_less(tmp_path: Path, clock: Clock) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds()) as spool:
            await append(spool, 1)
        clock.passes(hours=24 * 6)
        async with opened(tmp_path, clock, bounds()) as spool:
            await append(spool, 2)
            clock.ms += 365 * DAY_MS  # the clock jumps
            await spool.sweep()
            clock.seconds += 2 * 3600
            await spool.sweep()
            assert await waiting(spool) == [1, 2], "no age of seven days is proven"
            clock.seconds += 30 * 3600
            await spool.sweep()
            assert await waiting(spool) == [2]
        clock.ms -= 365 * DAY_MS
        clock.passes(hours=24 * 30)
        async with opened(tmp_path, clock, bounds()) as spool:
            await spool.sweep()
            assert await waiting(spool) == [2], "after a start it may first be delivered"
            clock.passes(hours=1.1)
            await spool.sweep()
            assert await waiting(spool) == []

    asyncio.run(scenario())


def test_a_frame_that_a_session_was_handed_is_a_drop_of_its_own(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EpochWriter, "SEGMENT_BYTES", 400)

    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds(frames=12)) as spool:
            for instants in range(1, 11):
                await spool.append(batch_frame(instants))
            held = spool.epochs[0].segments[0].sequences.tolist()
            assert len(held) >= 4
            await spool.read(spool.current, [2])
            await append(spool, 11, 12, 13)
            last = held[-1]
            assert losses(spool) == [
                (1, 1, 2, pb.GAP_REASON_DROPPED),
                (2, 2, 4, pb.GAP_REASON_DROPPED),
                (3, last, sum(2 * n for n in range(3, last + 1)), pb.GAP_REASON_DROPPED),
            ]
            spool.acknowledge(spool.current.id, [(2, 2)])  # it had been stored after all
            assert [(a, b) for a, b, _, _ in losses(spool)] == [(1, 1), (3, last)]

    asyncio.run(scenario())


def test_a_frame_dropped_while_it_is_read_is_neither_sent_nor_called_damaged(tmp_path: Path, clock: Clock) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds(frames=2)) as spool:
            await append(spool, 1, 2, 3)
            spool._fresh.clear()
            frames = await spool.read(spool.current, [1, 2])
            assert [ident(frame) for frame in frames] == [2]
            assert [reason for *_, reason in losses(spool)] == [pb.GAP_REASON_DROPPED]

    asyncio.run(scenario())


@pytest.mark.parametrize("held", ["read", "replace"])
def test_a_frame_is_not_given_to_a_session_once_its_drop_has_begun(tmp_path: Path, clock: Clock, held: str) -> None:
    """What is dropped together is declared together, so that none of it may be stored."""

    class Holding(UnsyncedFiles):
        def __init__(self) -> None:
            self.began, self.may = threading.Event(), threading.Event()

        def read(self, path: Path, offset: int, size: int) -> bytes:
            data = super().read(path, offset, size)
            self._hold(held == "read")
            return data

        def replace(self, path: Path, data: bytes) -> None:
            self._hold(held == "replace" and path.name == "dropped")
            super().replace(path, data)

        def _hold(self, now: bool) -> None:
            if now and not self.began.is_set():
                self.began.set()
                assert self.may.wait(30)

    async def scenario() -> None:
        disk = Holding()
        async with opened(tmp_path, clock, bounds(frames=2), disk) as spool:
            await append(spool, 1, 2)
            spool._fresh.clear()
            if held == "read":  # the session reads, meanwhile the frame is dropped
                reading = asyncio.create_task(spool.read(spool.current, [1]))
                await asyncio.to_thread(disk.began.wait, 30)
                await append(spool, 3)
                disk.may.set()
                assert await reading == []
            else:  # the frame is being dropped, meanwhile the session reads
                dropping = asyncio.create_task(append(spool, 3))
                await asyncio.to_thread(disk.began.wait, 30)
                assert await spool.read(spool.current, [1]) == []
                assert 1 in spool.current.pending
                disk.may.set()
                await dropping
            assert [(first, last) for first, last, _, _ in losses(spool)] == [(1, 1)]
            assert [ident(frame) for frame in await spool.read(spool.current, [2, 3])] == [2, 3]

    asyncio.run(scenario())


def test_bit_rot_in_a_kept_segment_costs_its_frame_and_is_declared_only_where_it_waited(
    tmp_path: Path, clock: Clock
) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds()) as spool:
            await append(spool, 1, 2, 3)
            old = spool.current.id
            spool.acknowledge(old, [(1, 2)])
        paths = files(tmp_path, "*.segment")
        for path in paths[1:]:
            data = bytearray(path.read_bytes())
            data[scan(bytes(data)).records[0].offset + HEAD_BYTES] ^= 1
            path.write_bytes(data)
        paths[0].write_bytes(paths[0].read_bytes() + b"torn")
        async with opened(tmp_path, clock, bounds()) as spool:
            assert (await waiting(spool), losses(spool)) == ([], [])  # 3 was the last record: a torn tail
            spool.forget_acknowledged()
            assert await waiting(spool) == [1], "the kept frame that is damaged can't be offered again"

    asyncio.run(scenario())


def test_a_spool_restored_from_an_older_copy_offers_what_it_has(tmp_path: Path, clock: Clock) -> None:
    async def scenario() -> None:
        state = tmp_path / "state"
        async with opened(state, clock, bounds(frames=4)) as spool:
            await append(spool, 1, 2, 3)
            old = spool.current.id
            shutil.copytree(state, tmp_path / "copy")
            await append(spool, 4, 5, 6)
            assert [(a, b) for a, b, _, _ in losses(spool)] == [(1, 1), (2, 2)]
        async with opened(tmp_path / "copy", clock, bounds(frames=4)) as spool:
            assert (await waiting(spool), losses(spool)) == ([1, 2, 3], [])
            assert spool.epochs[0].id == old
            await append(spool, 7)
            assert spool.current.id != old

    asyncio.run(scenario())


def test_a_damaged_list_of_drops_still_declares_a_loss(tmp_path: Path, clock: Clock) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds(frames=2)) as spool:
            await append(spool, 1, 2, 3)
        files(tmp_path, "dropped")[0].write_bytes(b"rubbish")
        async with opened(tmp_path, clock, bounds(frames=9)) as spool:
            assert losses(spool) == [(1, 1, 0, pb.GAP_REASON_ERROR)]

    asyncio.run(scenario())


STEPS = 400  # more than the story has


@pytest.mark.parametrize("power", [False, True], ids=["kill", "power loss"])
def test_death_at_any_step_leaves_each_sequence_pending_taken_or_lost(
    tmp_path: Path, clock: Clock, *, power: bool
) -> None:
    """A story with everything in it: acknowledged segments that go, drops, an old run that goes, an age."""
    died = 0
    for step in range(1, STEPS):
        state, copy = tmp_path / f"{step}", tmp_path / f"{step}-after"
        asyncio.run(first_run(state, clock))
        dying = DyingFiles(step)
        dying.sync_known(state)
        told, acknowledged = asyncio.run(second_run(state, Clock(), dying))
        if power:
            dying.survives_power_loss(state, copy)
        else:
            shutil.copytree(state / "spool", copy / "spool")
        asyncio.run(judge(copy, clock, told, acknowledged))
        shutil.rmtree(state)
        shutil.rmtree(copy)
        if dying.steps < step:
            break
        died += 1
    assert 50 < died < STEPS - 1, "the story has to have steps, and an end"


async def first_run(state: Path, clock: Clock) -> None:
    async with opened(state, clock, bounds()) as spool:
        await append(spool, 1, 2, 3)
        spool.acknowledge(spool.current.id, [(2, 2)])


async def second_run(state: Path, clock: Clock, dying: DyingFiles) -> tuple[dict[bytes, dict[int, int]], set[bytes]]:
    """Return the frames whose append had returned, by epoch and sequence, and the epochs that were acknowledged."""
    clock.passes(hours=24 * 7 - 1)
    told: dict[bytes, dict[int, int]] = {}
    acknowledged: set[bytes] = set()
    spool: Spool | None = None
    try:
        spool = Spool(state, clock.now_ms, dying, bounds(frames=6), monotonic=clock.monotonic)
        old = spool.epochs[0].id
        told[old] = {1: 1, 2: 2, 3: 3}
        told[spool.current.id] = {}
        for number in range(4, 12):
            frame = events_frame(number)
            await spool.append(frame)
            told[frame.epoch][frame.sequence] = number
            if number == 6:
                spool.acknowledge(spool.current.id, [(1, 2)])
        await spool.sweep()
        acknowledged.add(old)
        spool.acknowledge(old, [(1, 3)])
        await spool.sweep()
        clock.passes(hours=24 * 7 + 1)
        await spool.sweep()
        await spool.close()
    except Dead:
        if spool is not None:
            spool._appender._thread.shutdown()
            os.close(spool._lock)
    return told, acknowledged


async def judge(state: Path, clock: Clock, told: dict[bytes, dict[int, int]], acknowledged: set[bytes]) -> None:
    async with opened(state, clock, bounds()) as spool:
        there = {epoch.id: epoch for epoch in spool.epochs}
        for number, frames in told.items():
            if number not in there:
                assert number in acknowledged or not frames, "an epoch is gone with what waited in it"
                continue
            epoch = there[number]
            for sequence, content in frames.items():
                states = [sequence in ranges for ranges in (epoch.pending, epoch.taken, epoch.lost)]
                # Of an epoch that was acknowledged the folder may be on its way out.
                assert sum(states) == (1 if any(states) or number not in acknowledged else 0), f"{sequence}: {states}"
                if sequence in epoch.pending:
                    (frame,) = await spool.read(epoch, [sequence])
                    assert ident(frame) == content
            dropped = [loss for loss in epoch.losses() if loss.drop.last in frames]
            assert all(loss.reason == pb.GAP_REASON_DROPPED for loss in dropped), "a drop is called damage"


def test_a_drop_is_on_the_disk_before_its_segment_goes(tmp_path: Path, clock: Clock) -> None:
    order: list[str] = []

    class Noting(UnsyncedFiles):
        def replace(self, path: Path, data: bytes) -> None:
            super().replace(path, data)
            order.append(path.name)

        def remove(self, path: Path) -> None:
            order.append(path.name)
            super().remove(path)

    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds(frames=2), Noting()) as spool:
            await append(spool, 1, 2, 3)
            assert order == ["produced", "taken", "dropped", f"{1:020d}.segment"]

    asyncio.run(scenario())


def test_what_is_acknowledged_while_a_sweep_is_under_way_is_kept_before_its_segment_goes(
    tmp_path: Path, clock: Clock
) -> None:
    class Meanwhile(UnsyncedFiles):
        def touch(self, path: Path, ms: int) -> None:
            super().touch(path, ms)
            spool.acknowledge(spool.current.id, [(2, 2)])

    async def scenario() -> None:
        await append(spool, 1, 2, 3, 4)
        spool.acknowledge(spool.current.id, [(1, 1)])
        await spool.sweep()
        assert segments(tmp_path) == [2, 3, 4]
        await spool.sweep()
        assert segments(tmp_path) == [3, 4]
        await spool.close()

    spool = Spool(tmp_path, clock.now_ms, Meanwhile(), bounds(keep_hours=0))
    asyncio.run(scenario())


def test_a_drop_that_was_cut_short_is_done_again_and_declared_once(tmp_path: Path, clock: Clock) -> None:
    class Stuck(UnsyncedFiles):
        def remove(self, path: Path) -> None:
            if path.suffix != ".segment":
                super().remove(path)

    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds(frames=3), Stuck()) as spool:
            await append(spool, 1, 2, 3, 4, 5)
            assert [(a, b) for a, b, _, _ in losses(spool)] == [(1, 1), (2, 2)]
        async with opened(tmp_path, clock, bounds(frames=3)) as spool:
            assert (await waiting(spool), losses(spool)) == ([1, 2, 3, 4, 5], [])
            await append(spool, 6)
            dropped = [(n, n, 0, pb.GAP_REASON_DROPPED) for n in (1, 2, 3)]
            assert losses(spool) == dropped
        async with opened(tmp_path, clock, bounds(frames=3)) as spool:
            assert losses(spool) == dropped

    asyncio.run(scenario())


def test_where_the_drop_can_not_be_written_nothing_is_removed(tmp_path: Path, clock: Clock) -> None:
    class Failing(UnsyncedFiles):
        def replace(self, path: Path, data: bytes) -> None:
            if path.name == "dropped":
                raise PermissionError(13, "Permission denied", str(path))
            super().replace(path, data)

    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds(frames=2), Failing()) as spool:
            await append(spool, 1, 2, 3)
            assert await waiting(spool) == [1, 2, 3]
            assert spool.dropped == (0, 0)
            with pytest.raises(PermissionError):
                await spool.sweep()
        spool_again = Spool(tmp_path, clock.now_ms, UnsyncedFiles(), bounds())
        assert await waiting(spool_again) == [1, 2, 3]
        await spool_again.close()

    with pytest.raises(PermissionError):  # of the sweep at the end
        asyncio.run(scenario())


def test_drops_that_are_too_many_are_joined_from_the_oldest_and_lose_nothing() -> None:
    many = [Drop(n, n, n, n, 2) for n in range(1, MOST + 11)]
    found = added(many[:5], many[5:])
    assert len(found) == MOST
    assert found[0] == Drop(1, 11, 1, 11, 22)
    assert sum(drop.samples for drop in found) == 2 * len(many)
    assert of_file(to_file(found)) == found


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"x" * 9, lambda _: b""])
def test_a_file_of_drops_is_whole_or_damaged(change: Callable[[bytes], bytes]) -> None:
    assert of_file(change(to_file([Drop(1, 2, 3, 4, 5)]))) in (None, [Drop(1, 2, 3, 4, 5)])
    assert of_file(b"") is None
    assert of_file(to_file([Drop(5, 4, 0, 0, 0)])) is None
    assert of_file(to_file([Drop(1, 4, 0, 0, 0), Drop(4, 5, 0, 0, 0)])) is None


def test_the_parts_of_a_drop_add_up() -> None:
    whole = Drop(10, 19, 0, 0, 7)
    for cut in range(10, 19):
        pieces = [*parts([whole], 1, cut), *parts([whole], cut + 1, 99)]
        assert sum(piece.samples for piece in pieces) == 7
        assert sum(piece.frames for piece in pieces) == 10
    assert not list(parts([whole], 20, 99))


def test_the_default_bound_is_a_fifth_of_what_is_free_within_limits() -> None:
    assert [default_bytes(free) // MIB for free in (0, 1000 * MIB, 10**12)] == [64, 200, 2048]


def test_a_full_spool_is_no_error_of_an_append(tmp_path: Path, clock: Clock) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds(frames=1)) as spool:
            try:
                await append(spool, *range(1, 30))
            except SpoolFullError as error:
                raise AssertionError("the newest wins") from error
            assert await waiting(spool) == [28, 29], "the newest segment may be written to and stays"

    asyncio.run(scenario())


def test_a_dropped_list_is_no_concern_of_a_reader_that_does_not_know_it(tmp_path: Path, clock: Clock) -> None:
    """Version 0.1.0 knows segments, `taken` and `definitions`: without the list a drop below the highest is lost."""

    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds(frames=3)) as spool:
            await append(spool, 1, 2, 3, 4, 5)
            old = spool.current
        (old.folder / "dropped").unlink()
        again = SpoolEpoch(old.folder, old.id, UnsyncedFiles())
        again.load(tmp_path / "quarantine")
        assert (list(again.lost), list(again.pending)) == ([(1, 2)], [(3, 5)])

    asyncio.run(scenario())
