"""One session of one satellite: greeting, definitions, frames in, acknowledgements out.

The one promise: nothing is acknowledged before its COMMIT, and an ended session sends no acknowledgement more.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, TypeAlias
from uuid import UUID

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from metaconsole.gateway.acks import acks
from metaconsole.gateway.budgets import Budgets
from metaconsole.gateway.certificates import Certificates
from metaconsole.gateway.check import Known, ProtocolError, check_dropped, check_frame
from metaconsole.gateway.definitions import check_definitions, check_hello, epoch_of
from metaconsole.gateway.greeting import FRAMES_IN_FLIGHT, greeting, is_current, welcome
from metaconsole.gateway.holes import Holes
from metaconsole.gateway.inflating import INLINE_BYTES as INFLATE_INLINE_BYTES
from metaconsole.gateway.inflating import inflated
from metaconsole.gateway.liveness import Liveness, heartbeat_values
from metaconsole.gateway.outage import Outage
from metaconsole.gateway.reconciliation import Reconciliation
from metaconsole.gateway.refused import plain
from metaconsole.gateway.satellite_clock import SatelliteClock
from metaconsole.gateway.series_map import SeriesMap
from metaconsole.gateway.skew import check_version
from metaconsole.gateway.window import Window, Windows
from metaconsole.gateway.writer import Writer
from metaconsole.store.budgets import Budget
from metaconsole.store.database import AsyncDatabase, UnavailableError
from metaconsole.store.epochs import EpochState, Registration, newest_session, register, revoked_sentence
from metaconsole.store.frames import CheckedFrame, Outcome, Sender
from metaconsole.store.liveness import Seen
from metaconsole.store.series import define_series, load_series, load_sources
from shared.certificates import Leaf
from shared.failpoints import failpoint
from shared.pb import telemetry_pb2, uplink_pb2
from shared.protocol import PROTOCOL

HELLO_SECONDS: Final = 10.0
# Heartbeats come every 5 s, but on a line of 256 kbit/s behind a message of two minutes. What finds dead lines is the
# transport's keepalive.
SILENCE_SECONDS: Final = 180.0
WRITE_SECONDS: Final = 30.0
# A frame up to this is checked in the loop, in well under a millisecond: handing it to a thread and back, and two
# threads that take the interpreter from each other, were measured to cost as much again.
INLINE_BYTES: Final = 128 * 1024
RETRY_SECONDS: Final = 1.0
MAPS_BYTES: Final = 64 * 1024 * 1024  # of the series of a session's epochs: a million take 32 MiB at the very most
Context: TypeAlias = grpc.aio.ServicerContext[uplink_pb2.SatelliteMessage, uplink_pb2.MetaconsoleMessage]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Services:
    """What all sessions of a gateway share."""

    database: AsyncDatabase
    writer: Writer
    liveness: Liveness
    threads: Executor
    metrics: dict[str, int]
    windows: Windows
    outage: Outage  # of series definitions; the writer has that of frames
    budgets: Budgets
    certificates: Certificates


class SessionEnd(Exception):  # noqa: N818  # not every end is an error
    """The session is over: the status and the sentence that the satellite gets."""

    def __init__(self, code: grpc.StatusCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class Session:
    """One stream. `open` first, then `run`; `end` may be called at any time from the same loop."""

    def __init__(
        self,
        services: Services,
        leaf: Leaf,
        requests: AsyncIterator[uplink_pb2.SatelliteMessage],
        context: Context,
    ) -> None:
        self._services = services
        self._leaf = leaf
        self._identity = identity = leaf.identity
        self._requests = requests
        self._context = context
        self._peer = context.peer()  # asked now: a call that is over may not be asked any more
        self._registration: Registration
        self._maps: dict[UUID, SeriesMap] = {}
        self._states: dict[UUID, EpochState] = {}
        self._holes = Holes({})
        self._known = Known(services.metrics, {})
        self._settled: list[tuple[CheckedFrame, Outcome]] = []
        self._in_flight = 0
        self._budget = Budget()  # that the satellite was told; the plain one goes without saying
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Looked at by `overdue`: a timer for each message would be most of what the garbage collector has to look at.
        self._reading_since: float | None = None
        self._writing_since: float | None = None
        self.number = 0
        self.name = str(identity.satellite_id)
        self._sender = Sender(identity.site_id, identity.satellite_id, 0)
        self._protocol = PROTOCOL  # the satellite's, once it has greeted
        self._seen: Seen | None = None
        self._clock = SatelliteClock()
        self._drain: uplink_pb2.Drain | None = None
        self._reconciliation = Reconciliation(identity, services.database, services.outage)
        self._recall: uplink_pb2.Recall | None = None

    def __str__(self) -> str:
        return f"session {self.number} of satellite {self.name} from {self._peer}"

    async def open(self) -> None:
        """Take the greeting and answer it; raises SessionEnd or ProtocolError."""
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                message = await self._read()
        except TimeoutError as error:
            raise _late(f"no greeting came within {HELLO_SECONDS:.0f} s") from error
        if message is None or not message.HasField("hello"):
            raise ProtocolError("a session begins with a greeting (Hello)")
        hello = message.hello
        await check_version(self._services.database, hello, self._leaf, self._peer)
        self._protocol = (hello.protocol_major, hello.protocol_minor)
        run, offers = check_hello(hello)
        site_id, satellite_id = self._identity.site_id, self._identity.satellite_id
        who = greeting(hello, self._leaf, self._peer)
        async with self._services.database.connection() as connection:
            registration = await register(connection, site_id, satellite_id, run, offers, who)
            self._known.sources.update(await load_sources(connection, site_id))
        self.number = registration.session
        self._registration = registration
        self.name = f"{registration.satellite} of site {registration.site}"
        self._sender = replace(self._sender, session=registration.session)
        self._states = {state.epoch: state for state in registration.epochs}
        self._holes = Holes({state.epoch: state.ranges for state in registration.epochs})
        self._greet(hello, run)
        renew = not is_current(hello, self._leaf, self._services.certificates.now())
        answer = welcome(self._identity, registration, renew=renew)
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await self._send(uplink_pb2.MetaconsoleMessage(welcome=answer))
        except TimeoutError as error:
            raise _late(f"the satellite took no welcome for {WRITE_SECONDS:.0f} s") from error

    async def run(self) -> None:
        """Serve until the satellite goes; raises SessionEnd or ProtocolError."""
        tasks = [asyncio.create_task(self._receive()), asyncio.create_task(self._acknowledge())]
        try:
            waits: list[asyncio.Future[None]] = [*tasks, self._ended]
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

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
        self._drain = uplink_pb2.Drain(reason=reason, reconnect_after_ms=int(after * 1000))
        self._wake.set()

    def overdue(self, now: float) -> SessionEnd | None:
        """Return why the session must end when its satellite is silent or takes nothing; now is monotonic seconds."""
        if self._reading_since is not None and now - self._reading_since > SILENCE_SECONDS:
            return _late(f"nothing came for {SILENCE_SECONDS:.0f} s; heartbeats are due every 5 s")
        if self._writing_since is not None and now - self._writing_since > WRITE_SECONDS:
            return _late(f"the satellite took no message for {WRITE_SECONDS:.0f} s")
        return None

    def close(self) -> None:
        """Note that the satellite is gone."""
        if not self._ended.done():
            self._ended.cancel()
        elif not self._ended.cancelled():
            self._ended.exception()  # fetched, so that asyncio does not call it lost
        if self._seen is not None:
            self._note(replace(self._seen, connected_at=None))

    def settled(self, frame: CheckedFrame, outcome: Outcome) -> None:
        """Take the writer's word for a frame."""
        self._settled.append((frame.bare(), outcome))
        self._wake.set()

    async def _receive(self) -> None:
        while True:
            message = await self._read()
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
                await self._define(message.series)
            case "heartbeat":
                self._beat(message.heartbeat)
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
        epoch = self._epoch(frame.epoch)
        series = await self._series(epoch)
        size, offset = frame.ByteSize(), self._clock.at(frame)
        window = self._window(self._clock.now().offset_ms + frame.batch.source_offset_ms if offset is None else offset)
        arguments = (frame, size, self._sender, epoch, series, self._known, window, offset)
        if size <= INLINE_BYTES:
            checked = check_frame(*arguments)
        else:
            loop = asyncio.get_running_loop()
            checked = await loop.run_in_executor(self._services.threads, check_frame, *arguments)
        await self._submit(checked)

    async def _take_dropped(self, dropped: uplink_pb2.Dropped) -> None:
        recalled = self._reconciliation.has_asked(dropped.epoch, dropped.range)  # also of epochs that are not offered
        epoch = epoch_of(dropped.epoch) if recalled else self._epoch(dropped.epoch)
        window = self._window(self._clock.now().offset_ms)
        await self._submit(check_dropped(dropped, self._sender, epoch, window, recalled=recalled))

    async def _take_produced(self, part: uplink_pb2.Produced) -> None:
        self._recall = await self._reconciliation.take(part, self.name) or self._recall
        self._wake.set()

    async def _submit(self, frame: CheckedFrame) -> None:
        self._holes.add(frame.epoch, frame.first, frame.last)
        while self._in_flight >= 2 * FRAMES_IN_FLIGHT:
            # Who sends more than was announced waits in the transport.
            self._room.clear()
            await self._room.wait()
        self._in_flight += 1
        await self._services.writer.submit(frame, self)

    async def _define(self, message: telemetry_pb2.SeriesDefinitions) -> None:
        epoch = self._epoch(message.epoch)
        series = await self._series(epoch)
        first, definitions = check_definitions(message, series.through, self._services.metrics)
        if not definitions:
            return
        who = (self._identity.site_id, self._identity.satellite_id, epoch)
        while True:
            try:
                async with self._services.database.connection() as connection:
                    ids = await define_series(connection, *who, first, definitions)
                break
            except UnavailableError as error:
                self._services.outage.lost(error)
                await asyncio.sleep(RETRY_SECONDS)
        self._services.outage.back()
        series.extend(ids)
        self._states[epoch] = replace(self._states[epoch], series_through=series.through)
        names = [definition.source for definition in definitions]
        found = zip(names, ids.sources.tolist(), strict=True)
        self._known.sources.update({name: source_id for name, source_id in found if source_id})

    async def _series(self, epoch: UUID) -> SeriesMap:
        """Return the epoch's map, loaded at its first use."""
        while epoch not in self._maps:
            if sum(known.size for known in self._maps.values()) > MAPS_BYTES:
                self._maps.clear()
            loaded = SeriesMap()
            try:
                if self._states[epoch].series_through:
                    who = (self._identity.site_id, self._identity.satellite_id, epoch)
                    async with self._services.database.connection() as connection:
                        loaded.extend(await load_series(connection, *who))
                self._maps[epoch] = loaded
            except UnavailableError as error:
                self._services.outage.lost(error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._services.outage.back()
        return self._maps[epoch]

    def _window(self, offset_ms: int) -> Window:
        return self._services.windows.of(self._identity.site_id, _now_ms(), offset_ms)

    def _epoch(self, value: bytes) -> UUID:
        epoch = epoch_of(value)
        state = self._states.get(epoch)
        if state is None:
            raise ProtocolError(f"epoch {epoch} was not offered in the greeting")
        if state.retired:
            raise ProtocolError(f"epoch {epoch} is retired: start a new one")
        return epoch

    def wake(self) -> None:
        """Let the session look whether there is something to tell its satellite."""
        self._wake.set()

    async def _tell_budget(self) -> None:
        if (budget := self._services.budgets.of(self._identity.site_id)) != self._budget:
            self._budget = budget
            values = (budget.kbit, budget.from_minute, budget.to_minute)
            told = dict(zip(("kbit_per_second", "from_minute", "to_minute"), values, strict=True))
            await self._send(uplink_pb2.MetaconsoleMessage(backfill=uplink_pb2.BackfillBudget(**told)))

    async def _acknowledge(self) -> None:
        while True:
            await self._tell_budget()
            if (answer := self._clock.answer()) is not None:
                await self._send(uplink_pb2.MetaconsoleMessage(clock=answer))
            await self._wake.wait()
            self._wake.clear()
            if self._recall is not None:
                recall, self._recall = self._recall, None
                await self._send(uplink_pb2.MetaconsoleMessage(recall=recall))
            if self._drain is not None:
                drain, self._drain = self._drain, None
                await self._send(uplink_pb2.MetaconsoleMessage(drain=drain))
            settled, self._settled = self._settled, []
            if not settled:
                continue
            if any(outcome is Outcome.FENCED for _, outcome in settled):
                async with self._services.database.connection() as connection:
                    newest = await newest_session(connection, self._identity.site_id, self._identity.satellite_id)
                raise SessionEnd(grpc.StatusCode.ABORTED, f"{self} is fenced: {newest}")
            failpoint("gateway.ack.before")
            for ack in acks(settled):
                await self._send(uplink_pb2.MetaconsoleMessage(ack=ack))
            failpoint("gateway.ack.after")
            await self._send(uplink_pb2.MetaconsoleMessage(credit=uplink_pb2.Credit(frames=len(settled))))
            self._in_flight -= len(settled)
            del settled
            self._room.set()

    async def _read(self) -> uplink_pb2.SatelliteMessage | None:
        self._reading_since = time.monotonic()
        try:
            message = await anext(self._requests, None)
        except DecodeError as error:
            raise ProtocolError(f"a message can't be read, its session ends: {error}") from error
        self._reading_since = None
        return message

    async def _send(self, message: uplink_pb2.MetaconsoleMessage) -> None:
        self._writing_since = time.monotonic()
        await self._context.write(message)
        self._writing_since = None

    def _greet(self, hello: uplink_pb2.Hello, run: UUID) -> None:
        now = datetime.now(UTC)
        self._clock.greeted(hello.now_ms)
        seen = Seen(
            site_id=self._identity.site_id,
            satellite_id=self._identity.satellite_id,
            session=self.number,
            seen_at=now,
            connected_at=now,
            peer=self._peer[:200],
            version=plain(hello.version, 100),
            epoch=run,
        )
        self._note(seen)

    def _beat(self, heartbeat: uplink_pb2.Heartbeat) -> None:
        assert self._seen is not None
        self._clock.beat(heartbeat)
        self._wake.set()  # it is answered
        self._note(
            replace(self._seen, seen_at=datetime.now(UTC), heartbeat=heartbeat_values(heartbeat, self._protocol))
        )

    def _note(self, seen: Seen) -> None:
        clock = self._clock.now()
        seen = self._seen = replace(seen, clock_offset_ms=clock.offset_ms, clock_uncertainty_ms=clock.uncertainty_ms)
        self._services.liveness.note(seen)


def _late(sentence: str) -> SessionEnd:
    return SessionEnd(grpc.StatusCode.DEADLINE_EXCEEDED, sentence)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
