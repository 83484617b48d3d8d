"""The feeder: many guests are many sources, polled one after the other, and from a moment on at their pace."""

import asyncio
from pathlib import Path

from bench import feeder, mix

from satellite.clock import SystemClock
from shared.pb import uplink_pb2

START_MS = 1_700_000_000_000


async def produced(state: Path, guests: int, frames: int) -> list[uplink_pb2.Frame]:
    spool = feeder.CountingSpool(state, SystemClock())
    task = asyncio.create_task(feeder.Feeder(spool, 3, guests, START_MS).produce())
    while len(spool.current.pending) < frames:
        spool.changed.clear()
        await spool.changed.wait()
    task.cancel()
    found = await spool.read(spool.current, range(1, frames + 1))
    await spool.close()
    return found


def test_a_cycle_is_a_batch_of_each_source(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    found = asyncio.run(produced(tmp_path / "state", 2 * feeder.SOURCE_GUESTS, 4))
    assert [frame.batch.source for frame in found] == ["bench-3", "bench-3-1"] * 2
    assert [sum(block.values.count for block in frame.batch.blocks) for frame in found] == [10_000] * 4
    first = [frame.batch.blocks[0].series for frame in found]
    assert first[0] == first[2] != first[1] == first[3]


def test_few_guests_are_one_source(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    found = asyncio.run(produced(tmp_path / "state", 3, 2))
    assert [frame.batch.source for frame in found] == ["bench-3", "bench-3"]
    assert len(found[0].batch.blocks) == len(mix.METRICS)
