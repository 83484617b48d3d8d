"""The heartbeats of a session: every few seconds, and whenever what they say of the clock has changed.

The one promise: a frame goes out behind a heartbeat that tells the clock as it is.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from satellite.metaconsole_clock import MetaconsoleClock
from satellite.stream import Stream
from shared.pb import uplink_pb2

_SECONDS: Final = 5.0


class Heartbeats:
    """Writes the heartbeats of one session, and takes what they are answered with."""

    def __init__(
        self, stream: Stream, heartbeat: Callable[[], uplink_pb2.Heartbeat], metaconsole_clock: MetaconsoleClock
    ) -> None:
        self._stream, self._heartbeat, self._metaconsole_clock = stream, heartbeat, metaconsole_clock
        self._now = asyncio.Event()

    async def due(self) -> None:
        """Return when the next one is due."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SECONDS):
                await self._now.wait()
        self._now.clear()

    async def write(self) -> None:
        """Write one. Raises SessionEndedError."""
        beat = self._heartbeat()
        self._metaconsole_clock.report(beat)
        await self._stream.write(uplink_pb2.SatelliteMessage(heartbeat=beat))

    async def before_frame(self) -> None:
        """Write one where the clock was set since the last. Raises SessionEndedError."""
        if self._metaconsole_clock.was_set():
            await self.write()

    def answered(self, answer: uplink_pb2.ClockAnswer) -> None:
        """Take the answer to one; after the first, what was measured is told at once."""
        if self._metaconsole_clock.answered(answer):
            self._now.set()
