"""What a session tells its satellite: acknowledgements and credit, and beside them clock, budget, recalls and a drain.

The one promise: nothing is acknowledged before its COMMIT.
"""

import asyncio

import grpc

from metaconsole.gateway.acks import acks
from metaconsole.gateway.greeting import FRAMES_IN_FLIGHT
from metaconsole.gateway.satellite_clock import SatelliteClock
from metaconsole.gateway.services import Services
from metaconsole.gateway.stream import SessionEnd, Stream
from metaconsole.store.budgets import Budget
from metaconsole.store.epochs import newest_session
from metaconsole.store.frames import CheckedFrame, Outcome
from shared.failpoints import failpoint
from shared.pb import uplink_pb2
from shared.tls import SatelliteIdentity


class Answers:
    """All that is written after the welcome, by the task of `run`; `wake` lets it look whether there is something."""

    def __init__(self, services: Services, identity: SatelliteIdentity, stream: Stream, clock: SatelliteClock) -> None:
        self.recall: uplink_pb2.Recall | None = None
        self.drain: uplink_pb2.Drain | None = None
        self._services, self._identity, self._stream, self._clock = services, identity, stream, clock
        self._budget = Budget()  # that the satellite was told; the plain one goes without saying
        self._settled: list[tuple[CheckedFrame, Outcome]] = []
        self._in_flight = 0
        self._room = asyncio.Event()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look whether there is something to tell."""
        self._wake.set()

    def settled(self, frame: CheckedFrame, outcome: Outcome) -> None:
        """Take the writer's word for a frame."""
        self._settled.append((frame.bare(), outcome))
        self._wake.set()

    async def expect(self) -> None:
        """Count a frame that will be settled; who sends more than was announced waits in the transport."""
        while self._in_flight >= 2 * FRAMES_IN_FLIGHT:
            self._room.clear()
            await self._room.wait()
        self._in_flight += 1

    async def run(self, session: str) -> None:
        """Write until cancelled; raises SessionEnd where the session of this name is fenced."""
        while True:
            await self._tell_budget()
            if (answer := self._clock.answer()) is not None:
                await self._stream.write(uplink_pb2.MetaconsoleMessage(clock=answer))
            await self._wake.wait()
            self._wake.clear()
            if self.recall is not None:
                recall, self.recall = self.recall, None
                await self._stream.write(uplink_pb2.MetaconsoleMessage(recall=recall))
            if self.drain is not None:
                drain, self.drain = self.drain, None
                await self._stream.write(uplink_pb2.MetaconsoleMessage(drain=drain))
            await self._acknowledge(session)

    async def _acknowledge(self, session: str) -> None:
        settled, self._settled = self._settled, []
        if not settled:
            return
        if any(outcome is Outcome.FENCED for _, outcome in settled):
            async with self._services.database.connection() as connection:
                newest = await newest_session(connection, self._identity.site_id, self._identity.satellite_id)
            raise SessionEnd(grpc.StatusCode.ABORTED, f"{session} is fenced: {newest}")
        failpoint("gateway.ack.before")
        for ack in acks(settled):
            await self._stream.write(uplink_pb2.MetaconsoleMessage(ack=ack))
        failpoint("gateway.ack.after")
        await self._stream.write(uplink_pb2.MetaconsoleMessage(credit=uplink_pb2.Credit(frames=len(settled))))
        self._in_flight -= len(settled)
        self._room.set()

    async def _tell_budget(self) -> None:
        if (budget := self._services.budgets.of(self._identity.site_id)) != self._budget:
            self._budget = budget
            values = (budget.kbit, budget.from_minute, budget.to_minute)
            told = dict(zip(("kbit_per_second", "from_minute", "to_minute"), values, strict=True))
            await self._stream.write(uplink_pb2.MetaconsoleMessage(backfill=uplink_pb2.BackfillBudget(**told)))
