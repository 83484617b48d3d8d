"""Lifecycle events on their way from libvirt's thread to the satellite's event loop.

The one promise: libvirt's thread never waits; when nobody takes the events in time, what was lost is itself an event.
"""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator
from typing import Final

from satellite.collectors.libvirt.documents import clean
from satellite.collectors.libvirt.states import lifecycle
from shared.model import Event, Kind, ResourceKey, Severity

log = logging.getLogger(__name__)

_PENDING: Final = 1000


class EventFeed:
    """The bounded queue of one source's events."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue(_PENDING)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._numbers = itertools.count(1)
        self._lost = 0
        self._closed = False

    def open(self) -> None:
        """Take events for the running event loop from now on."""
        self._loop = asyncio.get_running_loop()
        if self._closed:  # whoever listened to the last connection is told its end through the old queue
            self._queue, self._closed = asyncio.Queue(_PENDING), False

    def close(self) -> None:
        """End the iteration of whoever listens."""
        if self._closed:
            return
        self._loop, self._closed = None, True
        if self._queue.full():
            self._queue.get_nowait()
            self._lost += 1
        self._queue.put_nowait(None)

    def offer(self, event: Event) -> None:
        """Hand over an event from any thread."""
        loop = self._loop
        if loop is None:
            return
        try:
            loop.call_soon_threadsafe(self._take, event)
        except RuntimeError:
            log.debug("the satellite ended before the event %s", event.type)

    def make(self, time_ms: int, uuid: str, name: str, number: int, detail: int) -> Event:
        """Return the event that a lifecycle callback means."""
        kind, why, severity = lifecycle(number, detail)
        label = clean(name)
        return Event(
            id=f"{uuid}:{kind}:{detail}:{time_ms}:{next(self._numbers)}",
            time_ms=time_ms,
            type=kind,
            message=f"guest {label} {kind.partition('.')[2]}" + (f": {why}" if why else ""),
            severity=severity,
            resource=ResourceKey(Kind.GUEST, uuid),
            attributes={"reason": why} if why else {},
        )

    async def events(self) -> AsyncIterator[Event]:
        """Yield events until closed."""
        queue = self._queue
        while (event := await queue.get()) is not None:
            yield event
            if self._lost:
                yield self._loss(event.time_ms)

    def _take(self, event: Event) -> None:
        if self._queue.full():
            self._lost += 1
        else:
            self._queue.put_nowait(event)

    def _loss(self, time_ms: int) -> Event:
        lost, self._lost = self._lost, 0
        message = f"{lost} events of libvirt were lost: more than {_PENDING} waited"
        identity = f"lost:{time_ms}:{next(self._numbers)}"
        return Event(identity, time_ms, "source.events_lost", message, Severity.WARNING, attributes={"lost": lost})
