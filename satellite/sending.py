"""What a session sends of the spool: definitions, frames, and what is lost of them.

The one promise: a frame is sent only after the definitions that it uses.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from satellite.heartbeats import Heartbeats
from satellite.in_flight import InFlight
from satellite.lanes import Lanes
from satellite.spool import Spool
from satellite.spool_epoch import SpoolEpoch
from satellite.stream import SessionEndedError, Stream
from shared.failpoints import failpoint
from shared.pb import uplink_pb2

_log = logging.getLogger(__name__)
_DRAIN_SECONDS: Final = 10.0
Rest = Callable[[float | None], Awaitable[None]]  # until there may be more to send, or room for it, at most so long


class Sender:
    """Sends for one session, until it is told to drain."""

    def __init__(self, spool: Spool, stream: Stream, heartbeats: Heartbeats, in_flight: InFlight, rest: Rest) -> None:
        self.offered: set[bytes] = set()  # epochs, by the greeting
        self.known_through: dict[bytes, int] = {}  # the last definition that the metaconsole has, by epoch
        self.drain: uplink_pb2.Drain | None = None
        self._spool, self._stream, self._heartbeats, self._in_flight = spool, stream, heartbeats, in_flight
        self._rest = rest
        self._declared: set[tuple[bytes, int, int]] = set()

    async def run(self, now_ms: int) -> None:
        """Send until drained; what was spooled shortly before now is live. Raises SessionEndedError, SpoolError."""
        lanes = Lanes(self._spool, self.offered, now_ms)
        losses = -1
        while self.drain is None:
            if losses != self._spool.losses:
                losses = self._spool.losses
                await self._declare_lost()
            room = self._in_flight.room()
            pick = lanes.next(self._in_flight.credit, room)
            if pick is None:
                self._offer_rest()
                await self._rest(self._in_flight.idle(room))
                continue
            frames = await self._spool.read(pick.epoch, pick.sequences)
            await self._define(pick.epoch)
            for frame in frames:
                frame.lane = pick.lane
                await self._send(frame)
        await self._finish(self.drain)

    async def declare(self, dropped: uplink_pb2.Dropped) -> None:
        """Declare a range that will not come; it takes credit as a frame does. Raises SessionEndedError."""
        while self._in_flight.credit < 1:
            await self._rest(None)
        self._in_flight.credit -= 1
        await self._stream.write(uplink_pb2.SatelliteMessage(dropped=dropped))

    def _offer_rest(self) -> None:
        """End the session where epochs wait that its greeting did not offer: read since then, or too many for one."""
        if not self._in_flight and self._spool.loaded.is_set():
            for epoch in self._spool.epochs:
                if epoch.id not in self.offered and not epoch.drained:
                    raise SessionEndedError("older frames are offered now", expected=True, reconnect_after=0.0)

    async def _send(self, frame: uplink_pb2.Frame) -> None:
        self._in_flight.sent(frame)
        await self._heartbeats.before_frame()
        failpoint("uplink.send.before")
        await self._stream.write(uplink_pb2.SatelliteMessage(frame=frame))
        failpoint("uplink.send.after")

    async def _define(self, epoch: SpoolEpoch) -> None:
        """Send the definitions that the metaconsole does not know; frames read before need no others."""
        known = self.known_through.get(epoch.id, 0)
        if known >= epoch.definitions.through:
            return
        for message in await asyncio.to_thread(lambda: list(epoch.definitions.read(known))):
            message.epoch = epoch.id
            await self._stream.write(uplink_pb2.SatelliteMessage(series=message))
            self.known_through[epoch.id] = message.definitions[-1].id

    async def _declare_lost(self) -> None:
        """Declare what is lost or dropped, once in a session; the same again would be a second gap."""
        for epoch in self._spool.epochs:
            for loss in epoch.losses() if epoch.id in self.offered else ():
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
                await self.declare(dropped)

    async def _finish(self, drain: uplink_pb2.Drain) -> None:
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while self._in_flight:
                    await self._rest(None)
        except TimeoutError:
            _log.info("%d frames were not answered while draining; they are offered again", len(self._in_flight))
        await self._stream.done_writing()
        after = min(drain.reconnect_after_ms / 1000, 300.0)
        raise SessionEndedError(drain.reason, expected=True, reconnect_after=after)
