"""Finds in a server's history of events where it goes on behind a position.

The one promise: no event behind the position is passed over. Where the position itself is no longer there, it is said
whether the server has forgotten it, or has gone back to an earlier history whose keys mean something else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from satellite.collectors.vsphere.event_position import Position, instant

# So many events behind the position are kept in hand while it is looked for: those of a clock that was set back, or
# that happened at once, may stand before it.
_HELD: Final = 2000


@dataclass(slots=True)
class Found:
    """What a page held behind the position; the oldest event that the server still has, where others were forgotten."""

    events: list[Any] = field(default_factory=list)
    lost_until_ms: int | None = None
    went_back: bool = False


class Seek:
    """Takes the history page by page, oldest first, beginning some time before the position."""

    def __init__(self, position: Position) -> None:
        self._key, self._time_ms = position.key, position.time_ms
        self._done = not position.key  # by time alone: the server does that
        self._oldest: Any = None
        self._held: list[Any] = []  # later than the position, by time or by key, while it may still come

    def take(self, page: Sequence[Any], *, ended: bool) -> Found:
        """Return what of a page lies behind the position; ended tells that there are no more at the moment."""
        for number, event in enumerate(page):
            if self._done:
                return Found([*page[number:]])
            self._oldest = self._oldest or event
            at = instant(event.createdTime)
            if event.key == self._key and at == self._time_ms:
                self._done = True
                later = [held for held in self._held if held.key > self._key]
                return Found([*later, *page[number + 1 :]])
            if at > self._time_ms or event.key > self._key:
                self._held.append(event)
            if len(self._held) > _HELD:
                return self._without(page[number + 1 :])
        return self._without([]) if ended and self._held else Found()

    def _without(self, rest: Sequence[Any]) -> Found:
        """Go on although the position is not there."""
        self._done = True
        events = [*self._held, *rest]
        if any(event.key <= self._key for event in events):
            return Found([event for event in events if instant(event.createdTime) > self._time_ms], went_back=True)
        oldest_ms = instant(self._oldest.createdTime)
        lost = self._oldest.key > self._key + 1 and oldest_ms > self._time_ms
        return Found(events, lost_until_ms=oldest_ms if lost else None)
