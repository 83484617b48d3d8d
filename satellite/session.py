"""One session with the metaconsole: greeting, definitions, frames out, acknowledgements in.

The one promise: a frame is sent only after the definitions that it uses, and is kept until it is acknowledged.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from satellite.backfill import Backfill, Budget
from satellite.clock import Clock, stamp
from satellite.deflating import SINCE, deflated
from satellite.lanes import Lanes
from satellite.metaconsole_clock import MetaconsoleClock
from satellite.reconciler import ANSWERED_SINCE, Reconciler
from satellite.spool import Spool
from satellite.spool_epoch import SpoolEpoch
from shared import __version__
from shared.failpoints import failpoint
from shared.pb import actions_pb2, uplink_pb2, uplink_pb2_grpc
from shared.protocol import PROTOCOL, why_refused
from shared.tasks import first_of

_log = logging.getLogger(__name__)
NONCE: Final = os.urandom(16)  # of this process

_CONNECT_SECONDS: Final = 15.0
_WRITE_SECONDS: Final = 30.0
_SLOWEST: Final = 8_000  # bytes a second that a message gets more time for
_ACK_SECONDS: Final = 60.0  # without any answer while frames are under way end the session
_HEARTBEAT_SECONDS: Final = 5.0
_DRAIN_SECONDS: Final = 10.0
_OFFERED_EPOCHS: Final = 900
_OFFERED_RANGES: Final = 15_000  # in all; what is not offered is sent all the same, and found to be taken


class Counter(Protocol):
    """What a session needs of satellite.uplink.SessionState."""

    incarnation: bytes

    def next_counter(self) -> int:
        """Return the session's number, stored."""
        ...

    def set_incarnation(self, incarnation: bytes) -> None:
        """Store the metaconsole's incarnation."""
        ...


class SessionEndedError(Exception):
    """The session is over; the message says why. Expected ends are no outage."""

    def __init__(self, message: str, *, expected: bool = False, reconnect_after: float | None = None) -> None:
        super().__init__(message)
        self.expected = expected
        self.reconnect_after = reconnect_after


class Session:
    """Lives from one connection to its end; everything durable is in the spool."""

    def __init__(
        self,
        spool: Spool,
        state: Counter,
        heartbeat: Callable[[], uplink_pb2.Heartbeat],
        clock: Clock,
        backfill: Backfill,
        told_reasons: set[str],
        reconciler: Reconciler | None = None,
    ) -> None:
        self.refused = 0
        self.welcomed = False
        self.on_welcome: Callable[[], None] = lambda: None
        self.on_renew: Callable[[], None] = lambda: None
        self.trust_sha256 = b""
        self.metaconsole_clock = MetaconsoleClock(clock)
        self._beat_now = asyncio.Event()
        self._spool, self._state, self._heartbeat, self._clock = spool, state, heartbeat, clock
        self._backfill = backfill
        self._told_reasons = told_reasons
        self._reconciler = reconciler
        self._call: Any = None
        self._writing = asyncio.Lock()
        self._deflates = False
        self._credit = 0
        # In flight: (epoch, sequence) -> monotonic seconds, and the bytes that count as backfill.
        self._sent: dict[tuple[bytes, int], tuple[float, int]] = {}
        self._answered = 0.0  # monotonic seconds of the last answer, or of the first frame after all were answered
        self._known_through: dict[bytes, int] = {}
        self._offered: set[bytes] = set()
        self._declared: set[tuple[bytes, int, int]] = set()
        self._drain: uplink_pb2.Drain | None = None

    async def run(self, channel: grpc.aio.Channel) -> None:
        """Serve until the stream ends. Raises SessionEndedError, AioRpcError, OSError, SpoolError."""
        self._backfill.begin()
        self.metaconsole_clock.begin()
        counter = await asyncio.to_thread(self._state.next_counter)
        self._call = uplink_pb2_grpc.UplinkStub(channel).Session()  # type: ignore[no-untyped-call]
        try:
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    greeted = stamp(self._clock)
                    await self._write(uplink_pb2.SatelliteMessage(hello=self._hello(counter)))
                    first = await self._read()
            except TimeoutError:
                raise SessionEndedError(f"the metaconsole did not answer within {_CONNECT_SECONDS:g} s") from None
            if not first.HasField("welcome"):
                raise SessionEndedError("the metaconsole did not begin with a Welcome; upgrade it")
            self.metaconsole_clock.welcomed(greeted.monotonic_ns, first.welcome.now_ms)
            await self._take_welcome(first.welcome)
            await self._write_heartbeat()  # before any frame: what it says of the clock holds for them
            await first_of(self._receive(), self._send(), self._beat(), self._reconcile())
        finally:
            self._call.cancel()

    def move(self, reason: str) -> None:
        """End once what is under way is answered, to go on over a new channel."""
        self._drain = uplink_pb2.Drain(reason=reason)
        self._spool.changed.set()

    # --- greeting

    def _hello(self, counter: int) -> uplink_pb2.Hello:
        hello = uplink_pb2.Hello(
            version=__version__,
            protocol_major=PROTOCOL[0],
            protocol_minor=PROTOCOL[1],
            epoch=self._spool.current.id,
            process_nonce=NONCE,
            session_counter=counter,
            now_ms=self._clock.now_ms(),
            incarnation=self._state.incarnation,
            trust_sha256=self.trust_sha256,
        )
        room = _OFFERED_RANGES
        old = [epoch for epoch in self._spool.epochs[:-1] if not epoch.drained][:_OFFERED_EPOCHS]
        for epoch in (self._spool.current, *old):
            ranges = list(epoch.offered())[:room]
            room -= len(ranges)
            offer = hello.epochs.add(
                epoch=epoch.id, next_sequence=epoch.next_sequence, series_through=epoch.definitions.through
            )
            offer.unsent.extend(uplink_pb2.SequenceRange(first=first, last=last) for first, last in ranges)
            self._offered.add(epoch.id)
        return hello

    async def _take_welcome(self, welcome: uplink_pb2.Welcome) -> None:
        if why := why_refused(PROTOCOL, (welcome.protocol_major, welcome.protocol_minor)):
            raise SessionEndedError(why)
        self._deflates = (welcome.protocol_major, welcome.protocol_minor) >= SINCE
        if (welcome.protocol_major, welcome.protocol_minor) < ANSWERED_SINCE:
            self._reconciler = None
        await self._follow_incarnation(welcome.incarnation)
        await self._renew_retired({state.epoch for state in welcome.epochs if state.retired})
        for state in welcome.epochs:
            self._known_through[state.epoch] = state.series_through
            self._spool.acknowledge(state.epoch, _pairs(state.taken))
        self._credit = welcome.limits.frames_in_flight
        if self._credit < 1:
            raise SessionEndedError("the metaconsole announced that no frame may be in flight; upgrade it")
        self.welcomed = True
        self.on_welcome()
        if welcome.renew_certificate:
            self.on_renew()

    async def _follow_incarnation(self, incarnation: bytes) -> None:
        if incarnation == self._state.incarnation:
            return
        # What was never acknowledged is offered anyway: at first contact, or where nothing was delivered yet.
        forgets = not self._spool.loaded.is_set() or any(epoch.taken for epoch in self._spool.epochs)
        if forgets:
            self._spool.forget_acknowledged()
            await self._spool.loaded.wait()  # what is read from now on has to be forgotten on the disk, too
            await self._spool.sweep()
        await asyncio.to_thread(self._state.set_incarnation, incarnation)
        if forgets:
            raise SessionEndedError(
                "the metaconsole was restored: all frames that are still here are offered again",
                expected=True,
                reconnect_after=0.0,
            )

    async def _renew_retired(self, retired: set[bytes]) -> None:
        found = [epoch for epoch in self._spool.epochs if epoch.id in retired]
        for epoch in found:
            await self._spool.renew(epoch)
        if found:
            raise SessionEndedError(
                "the metaconsole retired an epoch: its frames go on under a new one", expected=True, reconnect_after=0.0
            )

    # --- out

    async def _send(self) -> None:
        lanes = Lanes(self._spool, self._offered, self._clock.now_ms())
        losses = -1
        while self._drain is None:
            if losses != self._spool.losses:
                losses = self._spool.losses
                await self._declare_lost()
            room = self._backfill.room(self._clock.monotonic(), self._clock.now_ms())
            pick = lanes.next(self._credit, room)
            if pick is None:
                self._offer_rest()
                if room and self._credit > 0:
                    self._backfill.drained()
                await self._rest(None if room else self._backfill.wait_seconds(self._clock.now_ms()))
                continue
            frames = await self._spool.read(pick.epoch, pick.sequences)
            await self._define(pick.epoch)
            for frame in frames:
                frame.lane = pick.lane
                await self._send_frame(frame)
        await self._finish(self._drain)

    def _offer_rest(self) -> None:
        """End the session where epochs wait that its greeting did not offer: read since then, or too many for one."""
        if not self._sent and self._spool.loaded.is_set():
            for epoch in self._spool.epochs:
                if epoch.id not in self._offered and not epoch.drained:
                    raise SessionEndedError("older frames are offered now", expected=True, reconnect_after=0.0)

    async def _send_frame(self, frame: uplink_pb2.Frame) -> None:
        size = frame.ByteSize() if frame.lane == uplink_pb2.LANE_BACKFILL else 0
        now = self._clock.monotonic()
        self._credit -= 1
        self._answered = self._answered if self._sent else now
        self._sent[frame.epoch, frame.sequence] = now, size
        self._backfill.sent(size)
        if self.metaconsole_clock.was_set():
            await self._write_heartbeat()
        failpoint("uplink.send.before")
        await self._write(uplink_pb2.SatelliteMessage(frame=frame))
        failpoint("uplink.send.after")

    async def _rest(self, seconds: float | None = None) -> None:
        """Wait until there may be more to send, or room for it, at most so long."""
        self._spool.changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._spool.changed.wait()

    async def _define(self, epoch: SpoolEpoch) -> None:
        """Send the definitions that the metaconsole does not know; frames read before need no others."""
        known = self._known_through.get(epoch.id, 0)
        if known >= epoch.definitions.through:
            return
        for message in await asyncio.to_thread(lambda: list(epoch.definitions.read(known))):
            message.epoch = epoch.id
            await self._write(uplink_pb2.SatelliteMessage(series=message))
            self._known_through[epoch.id] = message.definitions[-1].id

    async def _declare_lost(self) -> None:
        """Declare what is lost or dropped, once in a session; the same again would be a second gap."""
        for epoch in self._spool.epochs:
            for loss in epoch.losses() if epoch.id in self._offered else ():
                number = (epoch.id, loss.drop.first, loss.drop.last)
                if number in self._declared:
                    continue
                self._declared.add(number)
                dropped = uplink_pb2.Dropped(
                    epoch=epoch.id,
                    range=uplink_pb2.SequenceRange(first=loss.drop.first, last=loss.drop.last),
                    from_ms=loss.drop.from_ms,
                    to_ms=loss.drop.to_ms,
                    reason=loss.reason,
                    samples=loss.drop.samples,
                )
                await self._declare(dropped)

    async def _declare(self, dropped: uplink_pb2.Dropped) -> None:
        while self._credit < 1:
            await self._rest()
        self._credit -= 1
        await self._write(uplink_pb2.SatelliteMessage(dropped=dropped))

    async def _reconcile(self) -> None:
        if self._reconciler is None:
            await asyncio.Event().wait()
            return
        again = await self._reconciler.run(self._write, self._declare, self._state.incarnation)
        why = f"the metaconsole lacks {again} frames that it had acknowledged: they are offered again"
        raise SessionEndedError(why, expected=True, reconnect_after=0.0)

    async def _finish(self, drain: uplink_pb2.Drain) -> None:
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while self._sent:
                    await self._rest()
        except TimeoutError:
            _log.info("%d frames were not answered while draining; they are offered again", len(self._sent))
        await self._call.done_writing()
        after = min(drain.reconnect_after_ms / 1000, 300.0)
        raise SessionEndedError(drain.reason, expected=True, reconnect_after=after)

    async def _beat(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_HEARTBEAT_SECONDS):
                    await self._beat_now.wait()
            self._beat_now.clear()
            await self._write_heartbeat()
            if self._sent and self._clock.monotonic() - self._answered > _ACK_SECONDS:
                raise SessionEndedError(f"the metaconsole answered no frame for {_ACK_SECONDS:g} s")

    async def _write_heartbeat(self) -> None:
        beat = self._heartbeat()
        self.metaconsole_clock.report(beat)
        await self._write(uplink_pb2.SatelliteMessage(heartbeat=beat))

    async def _write(self, message: uplink_pb2.SatelliteMessage) -> None:
        async with self._writing:
            seconds = _WRITE_SECONDS + message.ByteSize() / _SLOWEST
            try:
                async with asyncio.timeout(seconds):
                    await self._call.write(await deflated(message) if self._deflates else message)
            except TimeoutError:
                raise SessionEndedError(f"a message could not be written within {seconds:.0f} s") from None
            except asyncio.InvalidStateError:
                await self._read()  # the call is over: this raises its status
                raise SessionEndedError("the metaconsole closed the stream") from None

    # --- in

    async def _read(self) -> uplink_pb2.MetaconsoleMessage:
        message = await self._call.read()
        if isinstance(message, uplink_pb2.MetaconsoleMessage):
            return message
        code, details = await self._call.code(), await self._call.details()
        raise SessionEndedError(f"the metaconsole ended the session ({code.name}) {details}".strip())

    async def _receive(self) -> None:
        while True:
            message = await self._read()
            kind = message.WhichOneof("message")
            if kind == "ack":
                await self._take_ack(message.ack)
            elif kind == "credit":
                self._credit += message.credit.frames
                self._spool.changed.set()
            elif kind == "clock":
                if self.metaconsole_clock.answered(message.clock):
                    self._beat_now.set()  # with what was measured
            elif kind == "backfill":
                told = message.backfill
                self._backfill.budget = Budget(told.kbit_per_second, told.from_minute % 1440, told.to_minute % 1440)
                self._spool.changed.set()
            elif kind == "recall" and self._reconciler is not None:
                self._reconciler.answer(message.recall)
            elif kind == "drain":
                self._drain = message.drain
                self._drain.reason = f"the metaconsole asked to reconnect: {message.drain.reason[:200]}"
                self._spool.changed.set()
            elif kind == "config":
                status = uplink_pb2.ConfigStatus(
                    revision=message.config.revision[:200], error="this satellite takes its sources from its file only"
                )
                await self._write(uplink_pb2.SatelliteMessage(config_status=status))
            elif kind == "action":
                await self._refuse_action(message.action)

    async def _take_ack(self, ack: uplink_pb2.Ack) -> None:
        for refusal in ack.refused:
            self._tell_refusal(refusal)
        taken = _pairs(ack.taken)
        self._spool.acknowledge(ack.epoch, taken)
        now = self._answered = self._clock.monotonic()
        for key in [key for key in self._sent if key[0] == ack.epoch and any(a <= key[1] <= b for a, b in taken)]:
            began, size = self._sent.pop(key)
            if size:
                self._backfill.acknowledged(size, now, now - began)
        self._spool.changed.set()

    def _tell_refusal(self, refusal: uplink_pb2.Refusal) -> None:
        # The gap is the metaconsole's to write, in the transaction that takes the sequence.
        self.refused += 1
        if refusal.reason not in self._told_reasons and len(self._told_reasons) < 100:
            self._told_reasons.add(refusal.reason)
            _log.error(
                "the metaconsole refused frame %d (%s): %.300s (each reason is told once)",
                refusal.sequence,
                refusal.reason[:50],
                refusal.detail,
            )

    async def _refuse_action(self, request: actions_pb2.ActionRequest) -> None:
        try:
            order = actions_pb2.ActionOrder.FromString(request.request)
        except DecodeError:
            _log.warning("the metaconsole sent an action that can't be read; it is left out")
            return
        update = actions_pb2.ActionUpdate(
            id=order.id,
            state=actions_pb2.ACTION_STATE_REFUSED,
            message="actions are off at this site",
            time_ms=self._clock.now_ms(),
        )
        await self._write(uplink_pb2.SatelliteMessage(action_update=update))


def _pairs(ranges: Iterable[uplink_pb2.SequenceRange]) -> list[tuple[int, int]]:
    return [(item.first, item.last) for item in ranges if item.first <= item.last]
