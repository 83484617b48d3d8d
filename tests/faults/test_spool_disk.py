"""The spool on a real disk of a few MiB that fills, is filled by others, and can't be written.

Each disk is a file system in memory, which takes root.
"""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from fixtures.spools import ident
from fixtures.stack import Disk

from satellite.ballast import RESERVE
from satellite.bounds import Bounds
from satellite.epoch_writer import EpochWriter
from satellite.spool import Spool
from satellite.spool_errors import SpoolError, SpoolFullError
from satellite.spool_files import SpoolFiles
from satellite.uplink import SessionState
from shared.pb import events_pb2, uplink_pb2
from shared.pb.telemetry_pb2 import GAP_REASON_DROPPED

KIB: Final = 1024
DISK: Final = 8 * KIB * KIB
BALLAST: Final = KIB * KIB
SEGMENT: Final = 256 * KIB
FRAME: Final = 16 * KIB
BOUNDS: Final = Bounds(64 * KIB * KIB, ballast_bytes=BALLAST)
KEEPS_NOTHING: Final = Bounds(64 * KIB * KIB, keep_hours=0, ballast_bytes=BALLAST)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(DISK)
    folder = tmp_path / "disk"
    folder.mkdir()
    made.mount(folder)
    try:
        yield made
    finally:
        made.unmount()


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EpochWriter, "SEGMENT_BYTES", SEGMENT)


def frame(number: int) -> uplink_pb2.Frame:
    event = events_pb2.Event(id=str(number), time_ms=1, message=os.urandom(FRAME // 2).hex())
    return uplink_pb2.Frame(events=events_pb2.EventList(events=[event]))


async def append(spool: Spool, first: int, last: int) -> None:
    for number in range(first, last + 1):
        await spool.append(frame(number))


async def idents(spool: Spool) -> list[int]:
    sequences = [n for first, last in spool.current.pending for n in range(first, last + 1)]
    return [ident(one) for one in await spool.read(spool.current, sequences)]


def ballast(disk: Disk) -> int:
    state = (disk.folder / "ballast").stat()
    assert state.st_blocks * 512 >= state.st_size, "it takes less room than it says"
    return state.st_size


def test_on_a_full_disk_the_newest_wins_and_everything_goes_on(disk: Disk) -> None:
    async def scenario() -> None:
        spool = Spool(disk.folder, lambda: 1_000, bounds=KEEPS_NOTHING)
        assert ballast(disk) == BALLAST
        state = SessionState(disk.folder / "session.json", spool.files)
        await append(spool, 1, 100)
        spool.acknowledge(spool.current.id, [(1, 64)])
        last = 1200  # more than twice the disk
        counters = [state.next_counter()]
        for number in range(101, last + 1):
            await spool.append(frame(number))
            if number % 100 == 0:
                counters.append(state.next_counter())
                spool.files.replace(disk.folder / "ends.json", b"x" * 5000)
        assert ballast(disk) < BALLAST, "it gave way before anything that waits"
        assert counters == sorted(set(counters))
        assert json.loads((disk.folder / "session.json").read_bytes())["counter"] == counters[-1]
        (_, dropped), *_ = list(spool.current.lost)
        assert list(spool.current.lost) == [(65, dropped)], "the oldest, and nothing that was acknowledged"
        assert await idents(spool) == list(range(dropped + 1, last + 1))
        assert {loss.reason for loss in spool.current.losses()} == {GAP_REASON_DROPPED}
        assert spool.dropped == (dropped - 64, 0)
        held = sum(path.stat().st_size for path in disk.folder.rglob("*.segment"))
        assert held > DISK * 3 // 4, "what is free was used"
        spool.acknowledge(spool.current.id, [(1, last)])
        await spool.sweep()
        assert ballast(disk) == BALLAST, "there is room again"
        await spool.close()

    asyncio.run(scenario())


def test_acknowledged_segments_that_are_kept_go_first(disk: Disk) -> None:
    async def scenario() -> None:
        spool = Spool(disk.folder, lambda: 1_000, bounds=BOUNDS)
        for number in range(1, 1000):
            await spool.append(frame(number))
            spool.acknowledge(spool.current.id, [(number, number)])
        assert (spool.dropped, ballast(disk)) == ((0, 0), BALLAST)
        assert spool.current.segments[0].first > 1
        await spool.close()

    asyncio.run(scenario())


def test_where_others_fill_the_disk_the_new_frame_is_lost_and_it_goes_on_when_there_is_room(disk: Disk) -> None:
    only_the_reserve = Bounds(64 * KIB * KIB, ballast_bytes=RESERVE)

    async def scenario() -> None:
        spool = Spool(disk.folder, lambda: 1_000, bounds=only_the_reserve)
        state = SessionState(disk.folder / "session.json", spool.files)
        await append(spool, 1, 3)
        disk.fill()
        for number in (4, 5):
            with pytest.raises(SpoolFullError, match="free some space"):
                await append(spool, number, number)
        assert state.next_counter() < state.next_counter(), "a session can begin"
        assert (await idents(spool), spool.dropped) == ([1, 2, 3], (0, 0))
        disk.clear()
        await append(spool, 6, 7)
        assert await idents(spool) == [1, 2, 3, 6, 7]
        await spool.sweep()
        assert ballast(disk) == RESERVE
        await spool.close()
        again = Spool(disk.folder, lambda: 1_000, bounds=only_the_reserve)
        assert len(again.epochs[0].pending) == 5
        await again.close()

    asyncio.run(scenario())


def test_who_takes_whatever_is_freed_does_not_make_the_spool_drop_all_it_has(disk: Disk) -> None:
    class Hogged(SpoolFiles):
        def remove(self, path: Path) -> None:
            super().remove(path)
            disk.fill()

    async def scenario() -> None:
        spool = Spool(disk.folder, lambda: 1_000, Hogged(), BOUNDS)
        await append(spool, 1, 200)
        disk.fill()
        for number in range(300, 500):
            try:
                await append(spool, number, number)
            except SpoolFullError:
                continue
        frames, _ = spool.dropped
        assert 0 < frames <= 2 * SEGMENT // FRAME, "once was enough to see that it does not help"
        disk.clear()
        await spool.close()

    asyncio.run(scenario())


def test_it_starts_on_a_full_disk(disk: Disk) -> None:
    async def scenario() -> None:
        spool = Spool(disk.folder, lambda: 1_000, bounds=BOUNDS)
        await append(spool, 1, 40)
        await spool.close()
        disk.fill()
        again = Spool(disk.folder, lambda: 1_000, bounds=BOUNDS)
        await append(again, 41, 300)
        assert (await idents(again))[-1] == 300
        assert next((one.reason, one.drop.first) for one in again.epochs[0].losses()) == (GAP_REASON_DROPPED, 1)
        await again.close()

    asyncio.run(scenario())


def test_a_disk_that_can_not_be_written_is_a_sentence(disk: Disk) -> None:
    async def scenario() -> None:
        spool = Spool(disk.folder, lambda: 1_000, bounds=BOUNDS)
        await append(spool, 1, 3)
        await spool.close()

    asyncio.run(scenario())
    disk.read_only()
    with pytest.raises(SpoolError, match="it can't be written: mount it writable again"):
        Spool(disk.folder, lambda: 1_000, bounds=BOUNDS)
