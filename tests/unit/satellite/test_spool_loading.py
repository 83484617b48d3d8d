"""What earlier runs left is read while the satellite is in use already, and is offered after that."""

import asyncio
import threading
from pathlib import Path

import grpc.aio
import pytest
from fixtures.fake_gateway import FakeGateway, serving
from fixtures.spools import UnsyncedFiles, events_frame, ident
from fixtures.waiting import wait_until

from satellite.clock import SystemClock
from satellite.disk import advice
from satellite.spool import Spool
from satellite.spool_errors import SpoolError
from satellite.uplink import Callbacks, SessionState, Uplink
from shared.pb import uplink_pb2


class SlowDisk(UnsyncedFiles):
    """Reads a segment of an earlier run only when it may."""

    def __init__(self) -> None:
        self.may = threading.Event()

    def load(self, path: Path) -> bytes:
        assert self.may.wait(30)
        return super().load(path)


class Rig:
    """A satellite that starts with a backlog on a slow disk."""

    def __init__(self, state: Path) -> None:
        self.disk = SlowDisk()
        self.spool = Spool(state, SystemClock().now_ms, self.disk, load=False)
        self._state = SessionState(state / "session.json")
        self._state.set_incarnation(b"i" * 16)

    async def run(self, gateway: FakeGateway) -> None:
        heartbeat = Callbacks(lambda: uplink_pb2.Heartbeat(now_ms=1), lambda: None)
        addresses, clock = [f"127.0.0.1:{gateway.port}"], SystemClock()
        await Uplink(self.spool, addresses, grpc.aio.insecure_channel, self._state, heartbeat, clock, (0.05, 0.2)).run()


async def backlog(state: Path) -> None:
    for number in (1, 2):
        spool = Spool(state, SystemClock().now_ms, UnsyncedFiles())
        await spool.append(events_frame(number))
        if number == 2:
            spool.acknowledge(spool.current.id, [(1, 1)])
        await spool.close()


def idents(gateway: FakeGateway) -> list[int]:
    return [ident(frame) for frame in gateway.frames]


def test_live_frames_are_delivered_while_the_backlog_is_read_and_it_follows(tmp_path: Path) -> None:
    async def scenario() -> None:
        await backlog(tmp_path)
        rig = Rig(tmp_path)
        async with serving(FakeGateway()) as gateway:
            loading = asyncio.create_task(rig.spool.load())
            task = asyncio.create_task(rig.run(gateway))
            await rig.spool.append(events_frame(3))
            await wait_until(lambda: idents(gateway) == [3], 10, "the live frame is delivered")
            assert not rig.spool.loaded.is_set()
            rig.disk.may.set()
            await wait_until(lambda: idents(gateway) == [3, 1], 10, "the backlog follows")
            await loading
            task.cancel()
            await asyncio.wait([task])
        await rig.spool.close()

    asyncio.run(scenario())


def test_a_centre_that_was_restored_meanwhile_is_offered_also_what_is_read_later(tmp_path: Path) -> None:
    async def scenario() -> None:
        await backlog(tmp_path)
        rig = Rig(tmp_path)
        async with serving(FakeGateway(incarnation=b"j" * 16)) as gateway:
            task = asyncio.create_task(rig.run(gateway))
            await rig.spool.append(events_frame(3))
            await wait_until(lambda: gateway.hellos, 10, "the satellite is connected")
            rig.disk.may.set()
            await rig.spool.load()
            await wait_until(lambda: set(idents(gateway)) == {1, 2, 3}, 10, "what was acknowledged once is sent, too")
            task.cancel()
            await asyncio.wait([task])
        await rig.spool.close()

    asyncio.run(scenario())


def test_a_folder_that_can_not_be_used_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("in the way")
    with pytest.raises(SpoolError, match=r"can.t be opened: .*see to that folder"):
        Spool(tmp_path, lambda: 1)


def test_a_disk_that_can_not_be_read_is_a_sentence(tmp_path: Path) -> None:
    class Broken(UnsyncedFiles):
        def load(self, path: Path) -> bytes:
            raise OSError(5, "Input/output error", str(path))

    async def scenario() -> None:
        await backlog(tmp_path)
        spool = Spool(tmp_path, lambda: 1, Broken(), load=False)
        with pytest.raises(SpoolError, match=r"Input/output error.*replace the disk"):
            await spool.load()

    asyncio.run(scenario())
    assert "mount it writable" in advice(OSError(30, "Read-only file system"))
