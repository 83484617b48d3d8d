"""What happens over and over is told once a minute, with how often it happened since.

The one promise: what was not told is in the number that is told next.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import Final

TELL_SECONDS: Final = 60.0


class Seldom:
    """Counts by name."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told_at: dict[str, float] = {}
        self._untold = Counter[str]()

    def since(self, name: str, count: int) -> int | None:
        """Count, and return all that was counted since it was told last if it is time to tell again, else None."""
        self._untold[name] += count
        now = self._clock()
        if now - self._told_at.get(name, -TELL_SECONDS) < TELL_SECONDS:
            return None
        self._told_at[name] = now
        return self._untold.pop(name)
