"""What the spool drops: it is on the disk before it happens, declared once with its span, and given to nobody after."""

import asyncio
import threading
from pathlib import Path

import pytest
from fixtures.bounded_spools import Clock, append, batch_frame, bounds, files, losses, opened, waiting
from fixtures.spools import UnsyncedFiles, ident

from satellite.drops import Drop, Loss
from satellite.epoch_writer import EpochWriter
from satellite.spool import Spool
from satellite.spool_epoch import SpoolEpoch
from shared.pb import telemetry_pb2 as pb

pytestmark = pytest.mark.usefixtures("a_segment_for_each_append")


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


def test_a_damaged_list_of_drops_still_declares_a_loss(tmp_path: Path, clock: Clock) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds(frames=2)) as spool:
            await append(spool, 1, 2, 3)
        files(tmp_path, "dropped")[0].write_bytes(b"rubbish")
        async with opened(tmp_path, clock, bounds(frames=9)) as spool:
            assert losses(spool) == [(1, 1, 0, pb.GAP_REASON_ERROR)]

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
