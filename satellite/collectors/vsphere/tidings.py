"""The histories of a server beside its inventory: what happened, read on after each answer of the watch.

The one promise: a history that can't be read costs no change of the inventory; it is read on from where it ended.
"""

import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from satellite.collector import Context, SourceError
from satellite.collectors.vsphere.events import EventReader
from shared.model import Event

log = logging.getLogger(__name__)

_AGAIN: Final = 60.0  # seconds after a failure


class Tidings:
    """The events of one conversation."""

    def __init__(self, context: Context, make: Callable[[str | None], EventReader], after: str | None) -> None:
        """Go on behind a position; make returns a reader that does."""
        self._context, self._make, self._after = context, make, after
        self._reader: EventReader | None = None
        self._due = 0.0

    async def read(self) -> AsyncIterator[Event]:
        """Yield what is new."""
        more = time.monotonic() >= self._due
        while more:
            reader = self._reader = self._reader or self._make(self._after)
            try:
                events, more = await self._context.call(reader.read)
            except SourceError as error:
                log.warning("source %s: its events are read on in %g s: %s", self._context.source, _AGAIN, error)
                self._due = time.monotonic() + _AGAIN
                await self.close()
                return
            for event in events:
                self._after = event.position or self._after
                yield event

    async def close(self) -> None:
        """Let the server forget the reader; what is read afterwards is read by another one."""
        reader, self._reader = self._reader, None
        if reader is not None:
            try:
                await self._context.call(reader.close)
            except (SourceError, TimeoutError) as error:
                log.debug("source %s: a reader of events was not closed: %r", self._context.source, error)
