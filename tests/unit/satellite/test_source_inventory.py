"""The parts of an inventory go to the spool one by one, and where one does not get there everything is wanted again."""

import asyncio

import pytest
from fixtures.collectors import FakeClock, ScriptedCollector, ScriptedConfig
from fixtures.estate import estate

from satellite.source_clock import SourceClock
from satellite.source_inventory import SourceInventory
from satellite.source_output import SourceOutput
from satellite.spool_errors import SpoolFullError
from satellite.threads import SourceContext, SourceThreads
from shared.inventory_parts import begins_whole, is_part
from shared.pb import inventory_pb2, uplink_pb2


class Disk:
    """A spool with room for so many frames."""

    def __init__(self) -> None:
        self.room = 100
        self.hangs = False
        self.kept: list[inventory_pb2.InventoryDelta] = []

    async def put(self, frame: uplink_pb2.Frame) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if len(self.kept) >= self.room:
            raise SpoolFullError("no room")
        self.kept.append(frame.inventory)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def source(disk: Disk) -> SourceInventory:
    clock = FakeClock()
    collector = ScriptedCollector(ScriptedConfig(), SourceContext("s", "home", SourceThreads("s"), clock))
    return SourceInventory(collector, SourceOutput("s", disk.put), clock, SourceClock(clock))


def test_a_part_without_room_makes_everything_wanted_until_it_is_kept(disk: Disk, source: SourceInventory) -> None:
    async def scenario() -> None:
        disk.room = 2
        await source.take(estate(6_000))
        assert (len(disk.kept), source.full_wanted) == (2, True)
        disk.room = 100
        await source.send_full()

    asyncio.run(scenario())
    assert not source.full_wanted
    assert all(map(is_part, disk.kept))
    assert [begins_whole(delta) for delta in disk.kept[2:]] == [True] + [False] * (len(disk.kept) - 3)
    assert not disk.kept[-1].HasField("part_end")
    assert [delta.revision for delta in disk.kept] == [1, 2, *range(4, len(disk.kept) + 2)]


def test_one_that_was_cut_off_makes_everything_wanted(disk: Disk, source: SourceInventory) -> None:
    async def scenario() -> None:
        disk.hangs = True
        task = asyncio.create_task(source.take(estate(5)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())
    assert source.full_wanted
