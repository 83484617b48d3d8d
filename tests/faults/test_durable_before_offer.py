"""Nothing is offered before it is on the disk: the spool's own order of write, fdatasync and offer, recorded."""

import asyncio
from pathlib import Path

import pytest

from faults.recording import RecordingFiles
from satellite.spool import Spool
from satellite.spool_errors import SpoolBrokenError
from shared.pb import uplink_pb2

FRAMES = 40
PRODUCERS = 5


def frame(number: int) -> uplink_pb2.Frame:
    made = uplink_pb2.Frame()
    made.batch.source = f"source-{number}"
    return made


async def produce(spool: Spool, number: int) -> None:
    for _ in range(FRAMES):
        await spool.append(frame(number))


async def offer(spool: Spool, files: RecordingFiles, offered: list[int]) -> None:
    """Do what the uplink does: take whatever the spool shows as pending, as soon as it shows it."""
    epoch = spool.current
    while len(offered) < FRAMES * PRODUCERS:
        await spool.changed.wait()
        spool.changed.clear()
        pending = [sequence for first, last in epoch.pending for sequence in range(first, last + 1)]
        assert set(pending) <= files.durable, "the spool offers what no fdatasync has confirmed"
        frames = await spool.read(epoch, pending)
        assert [frame.sequence for frame in frames] == pending
        offered += pending
        spool.acknowledge(epoch.id, [(sequence, sequence) for sequence in pending])


def test_every_frame_is_synced_before_it_is_offered(tmp_path: Path) -> None:
    files = RecordingFiles()

    async def run() -> list[int]:
        spool = Spool(tmp_path, lambda: 1, files)
        offered: list[int] = []
        try:
            async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
                tasks.create_task(offer(spool, files, offered))
                for number in range(PRODUCERS):
                    tasks.create_task(produce(spool, number))
        finally:
            await spool.close()
        return offered

    offered = asyncio.run(run())
    assert sorted(offered) == list(range(1, FRAMES * PRODUCERS + 1))
    assert files.syncs >= FRAMES


def test_while_the_disk_is_slow_nothing_is_offered_and_append_does_not_return(tmp_path: Path) -> None:
    files = RecordingFiles()

    async def run() -> None:
        spool = Spool(tmp_path, lambda: 1, files)
        files.hold.clear()
        append = asyncio.create_task(spool.append(frame(1)))
        done, _ = await asyncio.wait([append], timeout=0.2)
        assert not done
        assert not list(spool.current.pending)
        assert not files.durable
        files.hold.set()
        async with asyncio.timeout(30):
            assert await append == 1
        assert list(spool.current.pending) == [(1, 1)]
        assert files.durable == {1}
        await spool.close()

    asyncio.run(run())


def test_a_disk_that_fails_to_sync_offers_nothing(tmp_path: Path) -> None:
    class Failing(RecordingFiles):
        def datasync(self, descriptor: int) -> None:
            raise OSError(5, f"Input/output error on {descriptor}")

    async def run() -> None:
        spool = Spool(tmp_path, lambda: 1, Failing())
        with pytest.raises(SpoolBrokenError, match="disk below"):
            await spool.append(frame(1))
        assert not list(spool.current.pending)
        with pytest.raises(SpoolBrokenError, match="disk below"):
            await spool.append(frame(2))
        await spool.close()

    asyncio.run(run())
