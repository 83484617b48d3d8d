"""A satellite without a network: its real spool and its real session, whose call is answered by the real store.

The promise: a session runs until nothing waits, its frames are used up or the store ends it, and never waits for time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import grpc.aio
from fixtures.log import frame as checked
from fixtures.spools import UnsyncedFiles, events_frame

from faults.centre import Centre
from faults.replaying import spooled
from metaconsole.gateway.acks import acks
from metaconsole.gateway.definitions import check_hello
from metaconsole.gateway.greeting import welcome as answer
from metaconsole.store.epochs import register
from metaconsole.store.frames import LogKind, Outcome, Sender
from metaconsole.store.log import append
from satellite.backfill import Backfill
from satellite.bounds import Bounds
from satellite.metaconsole_clock import MetaconsoleClock
from satellite.refusals import Refusals
from satellite.session import Session
from satellite.spool import Spool
from satellite.stream import SessionEndedError
from satellite.uplink import SessionState
from shared.pb import uplink_pb2

Interrupt = Callable[[], Awaitable[None]]
_SESSIONS = 4  # in a row: restored metaconsole, retired epoch, and what they ask for
_ENDLESS = 1_000_000


@dataclass(slots=True)
class Clock:
    """Time as the history has it."""

    ms: int = 1_700_000_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000

    def both(self) -> tuple[int, float]:
        return self.ms, self.ms / 1000

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        raise AssertionError(f"no part of a history waits for {event} or {seconds} s")


@dataclass(frozen=True, slots=True)
class Link:
    """What becomes of a session: its frames may run out, its answers be lost, and things happen before a frame."""

    frames: int = _ENDLESS
    acknowledged: bool = True
    told: bool = True  # whether Welcome says which of the offered frames were taken
    interrupts: Mapping[int, Interrupt] = field(default_factory=dict)  # by the number of the frame, from 0


class Call:
    """The uplink's call, with the store where the network would be. Stands for the channel, too."""

    def __init__(self, centre: Centre, link: Link) -> None:
        self.answers: asyncio.Queue[uplink_pb2.MetaconsoleMessage | None] = asyncio.Queue()
        self._centre, self._link, self._frames = centre, link, 0
        self._sender: Sender | None = None
        self._ended = ""

    def stream_stream(self, *_: Any, **__: Any) -> "Callable[[], Call]":
        return lambda: self

    async def write(self, message: uplink_pb2.SatelliteMessage) -> None:
        if self._ended:
            raise asyncio.InvalidStateError(self._ended)
        if message.HasField("hello"):
            await self._greet(message.hello)
        elif message.HasField("frame"):
            await self._take(message.frame)

    async def read(self) -> Any:
        answer = await self.answers.get()
        return grpc.aio.EOF if answer is None else answer

    async def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.ABORTED

    async def details(self) -> str:
        return self._ended

    def cancel(self) -> None:
        """Leave the other end to find out by itself."""

    def _end(self, why: str) -> None:
        self._ended = why
        self.answers.put_nowait(None)

    async def _greet(self, hello: uplink_pb2.Hello) -> None:
        run, offers = check_hello(hello)
        identity = self._centre.identity
        registration = await register(self._centre.connection, identity.site_id, identity.satellite_id, run, offers)
        self._sender = Sender(identity.site_id, identity.satellite_id, registration.session)
        welcome = answer(identity, registration, renew=False)
        for state in welcome.epochs if not self._link.told else ():
            del state.taken[:]
        self.answers.put_nowait(uplink_pb2.MetaconsoleMessage(welcome=welcome))

    async def _take(self, sent: uplink_pb2.Frame) -> None:
        if interrupt := self._link.interrupts.get(self._frames):
            await interrupt()
        if self._frames >= self._link.frames:
            self._end("the link is down")
            return
        self._frames += 1
        assert self._sender is not None
        payload = sent.events.SerializeToString()
        frame = checked(self._sender, UUID(bytes=sent.epoch), sent.sequence, kind=LogKind.EVENTS, payload=payload)
        (outcome,) = await append(self._centre.connection, [frame])
        if outcome is Outcome.FENCED:
            self._end("a newer session fences this one")
            return
        if self._link.acknowledged:
            for ack in acks([(frame, outcome)]):
                self.answers.put_nowait(uplink_pb2.MetaconsoleMessage(ack=ack))
            self.answers.put_nowait(uplink_pb2.MetaconsoleMessage(credit=uplink_pb2.Credit(frames=1)))


class OneSession(Session):
    """The session, which ends where the real one would wait for something that can't come any more."""

    call: Call

    async def _rest(self, seconds: float | None = None) -> None:
        if self.call.answers.empty():
            raise SessionEndedError("nothing is left to say", expected=True)
        await super()._rest(seconds)


class ClonedSatellite:
    """A disk with a running satellite on it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.clock = Clock()
        self.start()

    def start(self) -> None:
        """Begin a run: a new epoch."""
        self.spool = Spool(self.folder, self.clock.now_ms, UnsyncedFiles(), Bounds(keep_hours=1, ballast_bytes=0))
        self.state = SessionState(self.folder / "session.json", UnsyncedFiles())

    async def stop(self) -> None:
        """End the run."""
        await self.spool.close()

    async def append(self, idents: Iterable[int]) -> list[tuple[bytes, int]]:
        """Append events and return their numbers."""
        sequences = await asyncio.gather(*(self.spool.append(events_frame(ident)) for ident in idents))
        return [(self.spool.current.id, sequence) for sequence in sequences]

    async def sweep(self) -> None:
        """Remove what the spool needs no longer."""
        await self.spool.sweep()

    async def deliver(self, centre: Centre, link: Link = Link()) -> None:
        """Connect, and connect again where the metaconsole asks for it at once."""
        for _ in range(_SESSIONS):
            call = Call(centre, link)
            clocks = (self.clock, MetaconsoleClock(self.clock))
            session = OneSession(self.spool, self.state, uplink_pb2.Heartbeat, *clocks, Backfill(), Refusals())
            session.call = call
            try:
                await session.run(call)  # type: ignore[arg-type]
            except SessionEndedError as end:
                if end.reconnect_after is None:
                    return
        raise AssertionError("the metaconsole asked again and again to reconnect")

    def pending(self) -> set[tuple[bytes, int]]:
        """Return the numbers of all frames that wait."""
        return {
            (epoch.id, sequence)
            for epoch in self.spool.epochs
            for first, last in epoch.offered()
            for sequence in range(first, last + 1)
        }

    def held(self) -> set[tuple[bytes, int]]:
        """Return the numbers of all frames that lie on the disk."""
        return {(frame.epoch, frame.sequence) for frame in spooled(self.folder)}
