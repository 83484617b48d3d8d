"""When a satellite tells what it produced, how much of it, and what it does with the answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fixtures.spools import UnsyncedFiles, events_frame
from fixtures.waiting import wait_until

from satellite import reconciler
from satellite.bounds import Bounds
from satellite.reconciler import DAY_SECONDS, Reconciler
from satellite.spool import Spool
from shared.pb import uplink_pb2
from shared.pb.telemetry_pb2 import GAP_REASON_ERROR

LIFE, NEXT_LIFE = b"1" * 16, b"2" * 16


class Clock:
    """A clock that stands until it is turned."""

    seconds = 0.0

    def now_ms(self) -> int:
        return 1_000 + round(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds

    def both(self) -> tuple[int, float]:
        return self.now_ms(), self.monotonic()

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        raise AssertionError(f"nobody waits for {event} or {seconds} s")


class Rig:
    """A spool with a reconciler, and what they told; the test is the metaconsole."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.spool = Spool(folder, self.clock.now_ms, UnsyncedFiles(), Bounds(ballast_bytes=0))
        self.reconciler = Reconciler(self.spool, self.clock)
        self.parts: list[uplink_pb2.Produced] = []
        self.dropped: list[uplink_pb2.Dropped] = []

    async def send(self, message: uplink_pb2.SatelliteMessage) -> None:
        self.parts.append(message.produced)

    async def declare(self, dropped: uplink_pb2.Dropped) -> None:
        self.dropped.append(dropped)

    @asynccontextmanager
    async def session(self, life: bytes = LIFE) -> AsyncIterator["asyncio.Task[int]"]:
        self.parts.clear()
        task = asyncio.create_task(self.reconciler.run(self.send, self.declare, life))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def produce(self, count: int) -> None:
        for number in range(count):
            sequence = await self.spool.append(events_frame(number))
            self.spool.acknowledge(self.spool.current.id, [(sequence, sequence)])

    async def told(self) -> list[tuple[int, int]]:
        """Return what a complete report tells."""
        await wait_until(lambda: any(part.complete for part in self.parts), 5, "a report is complete")
        return [(row.first, row.last) for part in self.parts for epoch in part.epochs for row in epoch.ranges]

    def agree(self) -> None:
        self.reconciler.answer(uplink_pb2.Recall())

    def recall(self, first: int, last: int, epoch: bytes = b"") -> None:
        span = uplink_pb2.SequenceRange(first=first, last=last)
        wanted = uplink_pb2.EpochRanges(epoch=epoch or self.spool.current.id, ranges=[span])
        self.reconciler.answer(uplink_pb2.Recall(epochs=[wanted]))


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr(reconciler, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(reconciler, "_AGAIN_SECONDS", 0.0)
    return Rig(tmp_path)


def test_what_waits_is_told_once_it_is_acknowledged(rig: Rig) -> None:
    async def scenario() -> None:
        await rig.produce(2)
        await rig.spool.append(events_frame(3))
        async with rig.session():
            await asyncio.sleep(0.1)
            assert rig.parts == []
            await rig.spool.append(events_frame(4))  # comes after the report began, and is no part of it
            rig.spool.acknowledge(rig.spool.current.id, [(3, 3)])
            assert await rig.told() == [(1, 3)]
        await rig.spool.close()

    asyncio.run(scenario())


def test_what_was_agreed_is_told_again_daily_and_to_another_life(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("satellite.tallies.block_of", lambda sequence: sequence // 4)

    async def report(life: bytes = LIFE) -> list[tuple[int, int]]:
        async with rig.session(life):
            told = await rig.told()
            rig.agree()
            await asyncio.sleep(0.05)
            return told

    async def scenario() -> None:
        await rig.produce(9)
        assert await report() == [(1, 3), (4, 7), (8, 9)]
        assert await report() == []
        await rig.produce(1)
        assert await report() == [(8, 10)]
        rig.clock.seconds += DAY_SECONDS
        assert await report() == [(1, 3), (4, 7), (8, 10)]
        assert await report(NEXT_LIFE) == [(1, 3), (4, 7), (8, 10)]
        async with rig.session(NEXT_LIFE):
            await rig.told()  # which nobody answers: the line breaks
        assert await report(NEXT_LIFE) == []
        await rig.spool.close()

    asyncio.run(scenario())


def test_what_is_here_ends_the_session_and_what_is_not_is_declared(rig: Rig) -> None:
    async def scenario() -> None:
        await rig.produce(6)
        async with rig.session() as task:
            await rig.told()
            rig.parts.clear()
            rig.recall(5, 9, b"g" * 16)
            await rig.told()
            assert [(d.range.first, d.range.last, d.reason) for d in rig.dropped] == [(5, 9, GAP_REASON_ERROR)]
            rig.recall(2, 3)
            assert await asyncio.wait_for(task, 15) == 2
        assert list(rig.spool.current.pending) == [(2, 3)]
        await rig.spool.close()

    asyncio.run(scenario())


def test_who_asks_without_end_is_told_less_often(rig: Rig) -> None:
    async def scenario() -> None:
        await rig.produce(1)
        async with rig.session():
            await rig.told()
            for _ in range(10):
                rig.recall(1, 1, b"g" * 16)
            await wait_until(lambda: len(rig.dropped) > 3, 5, "it declares what is gone")
            await asyncio.sleep(0.1)
            assert len(rig.dropped) == len(rig.parts) == 4
        await rig.spool.close()

    asyncio.run(scenario())


def test_a_long_report_comes_in_parts(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("satellite.tallies.block_of", lambda sequence: sequence)
    monkeypatch.setattr(reconciler, "_PART", 3)

    async def scenario() -> None:
        await rig.produce(7)
        async with rig.session():
            assert await rig.told() == [(n, n) for n in range(1, 8)]
            assert [part.complete for part in rig.parts] == [False, False, True]
        await rig.spool.close()

    asyncio.run(scenario())
