"""One session with the metaconsole: it greets, and then sends, takes answers, beats and reports side by side.

The one promise: a frame is kept until it is acknowledged, whatever ends the session.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from typing import Final

import grpc.aio
from google.protobuf.message import DecodeError

from satellite.backfill import Backfill, Budget
from satellite.clock import Clock, stamp
from satellite.deflating import SINCE
from satellite.greeting import Counter, follow_incarnation, hello, renew_retired
from satellite.heartbeats import Heartbeats
from satellite.in_flight import InFlight
from satellite.metaconsole_clock import MetaconsoleClock
from satellite.reconciler import ANSWERED_SINCE, Reconciler
from satellite.refusals import Refusals
from satellite.sending import Sender
from satellite.spool import Spool
from satellite.stream import SessionEndedError, Stream
from shared.pb import actions_pb2, uplink_pb2
from shared.protocol import PROTOCOL, why_refused
from shared.tasks import first_of

_log = logging.getLogger(__name__)
_CONNECT_SECONDS: Final = 15.0


class Session:
    """Lives from one connection to its end; everything durable is in the spool."""

    def __init__(
        self,
        spool: Spool,
        state: Counter,
        heartbeat: Callable[[], uplink_pb2.Heartbeat],
        clock: Clock,
        metaconsole_clock: MetaconsoleClock,
        backfill: Backfill,
        refusals: Refusals,
        reconciler: Reconciler | None = None,
    ) -> None:
        self.welcomed = False
        self.on_welcome: Callable[[], None] = lambda: None
        self.on_renew: Callable[[], None] = lambda: None
        self.trust_sha256 = b""
        self._spool, self._state, self._clock, self._metaconsole_clock = spool, state, clock, metaconsole_clock
        self._backfill = backfill
        self._refusals = refusals
        self._reconciler = reconciler
        self._stream = Stream()
        self._heartbeats = Heartbeats(self._stream, heartbeat, metaconsole_clock)
        self._in_flight = InFlight(backfill, clock)
        self._sender = Sender(spool, self._stream, self._heartbeats, self._in_flight, self._rest)

    async def run(self, channel: grpc.aio.Channel) -> None:
        """Serve until the stream ends. Raises SessionEndedError, AioRpcError, OSError, SpoolError."""
        self._backfill.begin()
        self._metaconsole_clock.begin()
        counter = await asyncio.to_thread(self._state.next_counter)
        self._stream.open(channel)
        try:
            await self._greet(counter)
            await self._heartbeats.write()  # before any frame: what it says of the clock holds for them
            await first_of(self._receive(), self._sender.run(self._clock.now_ms()), self._beat(), self._reconcile())
        finally:
            self._stream.cancel()

    def move(self, reason: str) -> None:
        """End once what is under way is answered, to go on over a new channel."""
        self._drain(uplink_pb2.Drain(reason=reason))

    def _drain(self, drain: uplink_pb2.Drain) -> None:
        self._sender.drain = drain
        self._spool.changed.set()

    async def _rest(self, seconds: float | None) -> None:
        """Wait until there may be more to send, or room for it, at most so long."""
        self._spool.changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._spool.changed.wait()

    # --- greeting

    async def _greet(self, counter: int) -> None:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                greeted = stamp(self._clock)
                told = hello(self._spool, counter, self._state.incarnation, self.trust_sha256, self._clock.now_ms())
                self._sender.offered = {offer.epoch for offer in told.epochs}
                await self._stream.write(uplink_pb2.SatelliteMessage(hello=told))
                first = await self._stream.read()
        except TimeoutError:
            raise SessionEndedError(f"the metaconsole did not answer within {_CONNECT_SECONDS:g} s") from None
        if not first.HasField("welcome"):
            raise SessionEndedError("the metaconsole did not begin with a Welcome; upgrade it")
        self._metaconsole_clock.welcomed(greeted.monotonic_ns, first.welcome.now_ms)
        await self._take_welcome(first.welcome)

    async def _take_welcome(self, welcome: uplink_pb2.Welcome) -> None:
        protocol = (welcome.protocol_major, welcome.protocol_minor)
        if why := why_refused(PROTOCOL, protocol):
            raise SessionEndedError(why)
        self._stream.deflates = protocol >= SINCE
        if protocol < ANSWERED_SINCE:
            self._reconciler = None
        await follow_incarnation(self._spool, self._state, welcome.incarnation)
        await renew_retired(self._spool, {state.epoch for state in welcome.epochs if state.retired})
        for state in welcome.epochs:
            self._sender.known_through[state.epoch] = state.series_through
            self._spool.acknowledge(state.epoch, _pairs(state.taken))
        self._in_flight.credit = welcome.limits.frames_in_flight
        if self._in_flight.credit < 1:
            raise SessionEndedError("the metaconsole announced that no frame may be in flight; upgrade it")
        self.welcomed = True
        self.on_welcome()
        if welcome.renew_certificate:
            self.on_renew()

    # --- beside the frames

    async def _beat(self) -> None:
        while True:
            await self._heartbeats.due()
            await self._heartbeats.write()
            self._in_flight.check()

    async def _reconcile(self) -> None:
        if self._reconciler is None:
            await asyncio.Event().wait()
            return
        again = await self._reconciler.run(self._stream.write, self._sender.declare, self._state.incarnation)
        why = f"the metaconsole lacks {again} frames that it had acknowledged: they are offered again"
        raise SessionEndedError(why, expected=True, reconnect_after=0.0)

    # --- in

    async def _receive(self) -> None:
        while True:
            message = await self._stream.read()
            kind = message.WhichOneof("message")
            if kind == "ack":
                await self._take_ack(message.ack)
            elif kind == "credit":
                self._in_flight.credit += message.credit.frames
                self._spool.changed.set()
            elif kind == "clock":
                self._heartbeats.answered(message.clock)
            elif kind == "backfill":
                told = message.backfill
                self._backfill.budget = Budget(told.kbit_per_second, told.from_minute % 1440, told.to_minute % 1440)
                self._spool.changed.set()
            elif kind == "recall" and self._reconciler is not None:
                self._reconciler.answer(message.recall)
            elif kind == "drain":
                message.drain.reason = f"the metaconsole asked to reconnect: {message.drain.reason[:200]}"
                self._drain(message.drain)
            elif kind == "config":
                status = uplink_pb2.ConfigStatus(
                    revision=message.config.revision[:200], error="this satellite takes its sources from its file only"
                )
                await self._stream.write(uplink_pb2.SatelliteMessage(config_status=status))
            elif kind == "action":
                await self._refuse_action(message.action)

    async def _take_ack(self, ack: uplink_pb2.Ack) -> None:
        for refusal in ack.refused:
            self._refusals.note(refusal)  # the gap is the metaconsole's to write, as it takes the sequence
        taken = _pairs(ack.taken)
        self._spool.acknowledge(ack.epoch, taken)
        self._in_flight.acknowledged(ack.epoch, taken)
        self._spool.changed.set()

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
        await self._stream.write(uplink_pb2.SatelliteMessage(action_update=update))


def _pairs(ranges: Iterable[uplink_pb2.SequenceRange]) -> list[tuple[int, int]]:
    return [(item.first, item.last) for item in ranges if item.first <= item.last]
