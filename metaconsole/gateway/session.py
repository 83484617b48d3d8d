"""One session of one satellite: it is greeted, and then takes what comes in beside the task of its answers.

The one promise: a session that has ended takes nothing more, and sends no acknowledgement more.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from typing import Final

import grpc

from metaconsole.gateway.answers import Answers
from metaconsole.gateway.check import ProtocolError, check_dropped, check_frame
from metaconsole.gateway.definitions import check_hello, epoch_of
from metaconsole.gateway.greeting import greeting, is_current, welcome
from metaconsole.gateway.holes import Holes
from metaconsole.gateway.inflating import INLINE_BYTES as INFLATE_INLINE_BYTES
from metaconsole.gateway.inflating import inflated
from metaconsole.gateway.presence import Presence
from metaconsole.gateway.reconciliation import Reconciliation
from metaconsole.gateway.services import Services
from metaconsole.gateway.session_series import SessionSeries
from metaconsole.gateway.skew import check_version
from metaconsole.gateway.stream import Context, SessionEnd, Stream
from metaconsole.gateway.window import Window
from metaconsole.store.epochs import Registration, register, revoked_sentence
from metaconsole.store.frames import CheckedFrame, Sender
from metaconsole.store.series import load_sources
from shared.certificates import Leaf
from shared.pb import uplink_pb2

# A frame up to this is checked in the loop, in well under a millisecond: handing it to a thread and back, and two
# threads that take the interpreter from each other, were measured to cost as much again.
INLINE_BYTES: Final = 128 * 1024


class Session:
    """One stream. `open` first, then `run`; `end` may be called at any time from the same loop."""

    def __init__(
        self,
        services: Services,
        leaf: Leaf,
        requests: AsyncIterator[uplink_pb2.SatelliteMessage],
        context: Context,
    ) -> None:
        self.number = 0
        self._services = services
        self._leaf = leaf
        self._identity = identity = leaf.identity
        self._name = str(identity.satellite_id)
        self._stream = Stream(requests, context)
        self._presence = Presence(services.liveness)
        self._answers = Answers(services, identity, self._stream, self._presence.clock)
        self._series = SessionSeries(services, identity)
        self._reconciliation = Reconciliation(identity, services.database, services.outage)
        self._registration: Registration
        self._sender = Sender(identity.site_id, identity.satellite_id, 0)
        self._holes = Holes({})
        self._tells_again = False
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __str__(self) -> str:
        return f"session {self.number} of satellite {self._name} from {self._stream.peer}"

    async def open(self) -> None:
        """Take the greeting and answer it; raises SessionEnd or ProtocolError."""
        hello, peer = await self._stream.hello(), self._stream.peer
        await check_version(self._services.database, hello, self._leaf, peer)
        run, offers = check_hello(hello)
        site_id, satellite_id = self._identity.site_id, self._identity.satellite_id
        who = greeting(hello, self._leaf, peer)
        async with self._services.database.connection() as connection:
            registration = await register(connection, site_id, satellite_id, run, offers, who)
            self._series.begin(registration, await load_sources(connection, site_id))
        self.number = registration.session
        self._registration = registration
        self._name = f"{registration.satellite} of site {registration.site}"
        self._sender = replace(self._sender, session=registration.session)
        self._holes = Holes({state.epoch: state.ranges for state in registration.epochs})
        self._presence.greeted(self._identity, hello, run, self.number, peer)
        renew = not is_current(hello, self._leaf, self._services.certificates.now())
        await self._stream.welcome(welcome(self._identity, registration, renew=renew))

    async def run(self) -> None:
        """Serve until the satellite goes; raises SessionEnd or ProtocolError."""
        tasks = [asyncio.create_task(self._receive()), asyncio.create_task(self._answers.run(str(self)))]
        try:
            waits: list[asyncio.Future[None]] = [*tasks, self._ended]
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # --- from outside

    def end(self, why: SessionEnd) -> None:
        """End the session from outside."""
        if not self._ended.done():
            self._ended.set_exception(why)

    def revoked(self, at: datetime) -> None:
        """End the session of a satellite that was revoked."""
        sentence = revoked_sentence(self._registration.satellite, self._registration.site, at)
        self.end(SessionEnd(grpc.StatusCode.PERMISSION_DENIED, sentence))

    def drain(self, reason: str, after: float) -> None:
        """Ask the satellite to finish what is under way and to connect again after so many seconds."""
        self._answers.drain = uplink_pb2.Drain(reason=reason, reconnect_after_ms=int(after * 1000))
        self._answers.wake()

    def tell_again(self, after: float) -> None:
        """Let the satellite connect again after so many seconds: there is room for what of it was refused. Once."""
        if not self._tells_again:
            self._tells_again = True
            self.drain("there is room for series or resources that were refused", after)

    def overdue(self, now: float) -> SessionEnd | None:
        """Return why the session must end when its satellite is silent or takes nothing; now is monotonic seconds."""
        return self._stream.overdue(now)

    def close(self) -> None:
        """Note that the satellite is gone."""
        if not self._ended.done():
            self._ended.cancel()
        elif not self._ended.cancelled():
            self._ended.exception()  # fetched, so that asyncio does not call it lost
        self._presence.gone()

    def wake(self) -> None:
        """Let the session look whether there is something to tell its satellite."""
        self._answers.wake()

    # --- in

    async def _receive(self) -> None:
        while True:
            message = await self._stream.read()
            if message is None:
                return
            await self._take(message)
            del message  # a session that waits holds no batch: 5,000 of them wait at a time

    async def _take(self, message: uplink_pb2.SatelliteMessage) -> None:
        match message.WhichOneof("message"):
            case "frame":
                await self._take_frame(message.frame)
            case "dropped":
                await self._take_dropped(message.dropped)
            case "produced":
                await self._take_produced(message.produced)
            case "series":
                await self._series.define(message.series)
            case "heartbeat":
                self._presence.beat(message.heartbeat)
                self._answers.wake()  # it is answered
            case "deflated":
                await self._take(await self._inflated(message.deflated))
            case "hello":
                raise ProtocolError("a session has one greeting")
            case _:
                pass  # what a newer satellite says besides: nothing here depends on it

    async def _inflated(self, data: bytes) -> uplink_pb2.SatelliteMessage:
        if len(data) <= INFLATE_INLINE_BYTES:
            return inflated(data)
        return await asyncio.get_running_loop().run_in_executor(self._services.threads, inflated, data)

    async def _take_frame(self, frame: uplink_pb2.Frame) -> None:
        epoch = self._series.epoch(frame.epoch)
        series = await self._series.of(epoch)
        clock = self._presence.clock
        size, offset = frame.ByteSize(), clock.at(frame)
        window = self._window(clock.now().offset_ms + frame.batch.source_offset_ms if offset is None else offset)
        arguments = (frame, size, self._sender, epoch, series, self._series.known, window, offset)
        if size <= INLINE_BYTES:
            checked = check_frame(*arguments)
        else:
            loop = asyncio.get_running_loop()
            checked = await loop.run_in_executor(self._services.threads, check_frame, *arguments)
        await self._submit(checked)

    async def _take_dropped(self, dropped: uplink_pb2.Dropped) -> None:
        recalled = self._reconciliation.has_asked(dropped.epoch, dropped.range)  # also of epochs that are not offered
        epoch = epoch_of(dropped.epoch) if recalled else self._series.epoch(dropped.epoch)
        window = self._window(self._presence.clock.now().offset_ms)
        await self._submit(check_dropped(dropped, self._sender, epoch, window, recalled=recalled))

    async def _take_produced(self, part: uplink_pb2.Produced) -> None:
        if recall := await self._reconciliation.take(part, self._name):
            self._answers.recall = recall
        self._answers.wake()

    def _window(self, offset_ms: int) -> Window:
        return self._services.windows.of(self._identity.site_id, time.time_ns() // 1_000_000, offset_ms)

    async def _submit(self, frame: CheckedFrame) -> None:
        self._holes.add(frame.epoch, frame.first, frame.last)
        await self._answers.expect()
        await self._services.writer.submit(frame, self._answers)
