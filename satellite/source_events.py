"""The events of a source: followed for as long as it is open, and spooled a few at a time.

The one promise: no event that came is lost. While the disk is full a bounded number waits in memory, and the source is
asked for no more; and those of one frame were stamped by one clock.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from itertools import takewhile
from typing import Final

from satellite import encoding
from satellite.clock import STEP_MS, Clock, apart_ms, stamp
from satellite.collector import Collector, SourceError
from satellite.source_health import LONGEST_BACKOFF
from satellite.source_output import SourceOutput
from shared.model import Event, Inventory
from shared.pb import uplink_pb2

WAITING: Final = 20_000
_WITHIN: Final = 0.2  # seconds that events wait for company
_AT_ONCE: Final = 500
_AGAIN: Final = 2.0  # seconds until a disk that was full is tried again
_CAPABILITY: Final = "events"
_Arrived = tuple[Event, uplink_pb2.ClockStamp]  # when, by both clocks


class SourceEvents:
    """Follows the events of one source between `begin` and `end`, in two tasks of its own."""

    def __init__(
        self,
        collector: Collector,
        output: SourceOutput,
        clock: Clock,
        changed: Callable[[Inventory], Awaitable[None]],
        arrived: Callable[[], None],
        position: str | None = None,
    ) -> None:
        """Hand over to changed an inventory that came; call arrived on events: what exists may have changed by them.

        position is where an earlier run ended.
        """
        self.position = position  # of the newest event that is in the spool
        self._collector, self._output, self._clock = collector, output, clock
        self._changed, self._arrived = changed, arrived
        self._waiting: list[_Arrived] = []
        self._some, self._room = asyncio.Event(), asyncio.Event()
        self._spooling: asyncio.Task[bool] | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Follow the events of a source that was opened, if it has any."""
        if _CAPABILITY in self._collector.capabilities:
            self._task = asyncio.create_task(self._follow(), name=f"events of {self._output.source}")

    def end(self) -> None:
        """Follow them no more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _follow(self) -> None:
        sender = asyncio.create_task(self._send(), name=f"event sender of {self._output.source}")
        wait = 1.0
        try:
            while True:
                try:
                    async with aclosing(self._collector.events(self._last())) as events:  # type: ignore[type-var]
                        async for event in events:
                            await self._take(event)
                            wait = wait if isinstance(event, Inventory) else 1.0
                    break
                except Exception as error:  # noqa: BLE001 - whatever a collector does, it does to its own source only
                    self._output.tell(
                        f"its events ended: {type(error).__name__}: {error}",
                        None if isinstance(error, SourceError) else error,
                    )
                await asyncio.sleep(wait)
                wait = min(wait * 2, LONGEST_BACKOFF)
            await sender
        finally:
            sender.cancel()

    async def _take(self, event: Event | Inventory) -> None:
        if isinstance(event, Inventory):
            await self._changed(event)
            return
        self._waiting.append((event, stamp(self._clock)))
        self._some.set()
        while len(self._waiting) >= WAITING:
            self._output.tell(f"{WAITING} events wait, for the disk is full: no more are asked for until there is room")
            self._room.clear()
            await self._room.wait()

    async def _send(self) -> None:
        while True:
            if not self._waiting:
                await self._some.wait()
            await asyncio.sleep(_WITHIN)
            self._some.clear()
            self._arrived()
            while self._waiting:
                if self._spooling is None:
                    self._spooling = asyncio.create_task(self._spool())
                # Whoever ends this task: a frame that gets to the disk has to be known to be there.
                spooled = await asyncio.shield(self._spooling)
                self._spooling = None
                if not spooled:
                    await asyncio.sleep(_AGAIN)

    async def _spool(self) -> bool:
        some = _by_one_clock(self._waiting[:_AT_ONCE])
        frame = encoding.events_frame(self._output.source, [event for event, _ in some])
        frame.stamped.CopyFrom(some[0][1])
        if not await self._output.put(frame):
            return False
        self.position = frame.events.position or self.position
        del self._waiting[: len(some)]
        self._room.set()
        return True

    def _last(self) -> str | None:
        return next((event.position for event, _ in reversed(self._waiting) if event.position), self.position)


def _by_one_clock(events: Sequence[_Arrived]) -> Sequence[_Arrived]:
    """Return the first events, up to where the clock was set."""
    first = events[0][1]
    return list(takewhile(lambda item: abs(apart_ms(first, item[1])) < STEP_MS, events))
