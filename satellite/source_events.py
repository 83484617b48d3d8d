"""The events of a source: followed for as long as it is open, and spooled a few at a time.

The one promise: events wait in memory while the disk is full, a bounded number of them; and those of one frame were
stamped by one clock.
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
    ) -> None:
        """Hand over to changed an inventory that came; call arrived on events: what exists may have changed by them."""
        self._collector, self._output, self._clock = collector, output, clock
        self._changed, self._arrived = changed, arrived
        self._after: str | None = None  # the newest event that is in the spool
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
        waiting: list[_Arrived] = []
        arrived = asyncio.Event()
        sender = asyncio.create_task(self._send(waiting, arrived), name=f"event sender of {self._output.source}")
        wait = 1.0
        try:
            while True:
                try:
                    async with aclosing(self._collector.events(self._last(waiting))) as events:  # type: ignore[type-var]
                        async for event in events:
                            if isinstance(event, Inventory):
                                await self._changed(event)
                                continue
                            arrived.set()
                            if len(waiting) >= WAITING:  # the disk is full, and memory is not to follow
                                self._output.tell(f"more than {WAITING} events wait: newer ones are left out")
                                continue
                            waiting.append((event, stamp(self._clock)))
                            wait = 1.0
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

    async def _send(self, waiting: list[_Arrived], arrived: asyncio.Event) -> None:
        while True:
            await arrived.wait()
            await asyncio.sleep(_WITHIN)
            arrived.clear()
            self._arrived()
            while waiting:
                some = _by_one_clock(waiting[:_AT_ONCE])
                frame = encoding.events_frame(self._output.source, [event for event, _ in some])
                frame.stamped.CopyFrom(some[0][1])
                if not await self._output.put(frame):
                    break
                self._after = some[-1][0].id
                del waiting[: len(some)]

    def _last(self, waiting: Sequence[_Arrived]) -> str | None:
        return waiting[-1][0].id if waiting else self._after


def _by_one_clock(events: Sequence[_Arrived]) -> Sequence[_Arrived]:
    """Return the first events, up to where the clock was set."""
    first = events[0][1]
    return list(takewhile(lambda item: abs(apart_ms(first, item[1])) < STEP_MS, events))
