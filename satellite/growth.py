"""When the spool will be full, by how it grew over the last minutes.

The one promise: no forecast from less than a minute, and none while it hardly grows.
"""

from collections import deque
from typing import Final

_EVERY: Final = 10.0  # seconds between two looks that are kept
_LEAST: Final = 60.0
_LOOKS: Final = 31  # five minutes
_FAR: Final = 30 * 86_400  # seconds; what is further away is noise


class Growth:
    """What waited in the spool over the last minutes."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int]] = deque(maxlen=_LOOKS)  # monotonic seconds, bytes

    def note(self, now: float, waiting: int) -> None:
        """Take a look; most are not kept."""
        if not self._looks or now - self._looks[-1][0] >= _EVERY:
            self._looks.append((now, waiting))

    def seconds_until(self, room: int) -> int:
        """Return when so many bytes more will wait, at the present rate; 0 while it hardly grows, or nobody knows."""
        if len(self._looks) < 2:
            return 0
        (first, less), (last, more) = self._looks[0], self._looks[-1]
        if last - first < _LEAST or more <= less:
            return 0
        seconds = max(1, round(max(room, 0) * (last - first) / (more - less)))
        return seconds if seconds <= _FAR else 0
