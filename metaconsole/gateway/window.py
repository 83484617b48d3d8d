"""The window of instants that are accepted: raw retention back, a little ahead for clocks that differ."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

BACK_MS: Final = timedelta(days=400) // timedelta(milliseconds=1)
AHEAD_MS: Final = timedelta(minutes=5) // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Window:
    """From begin to end, both included, UTC milliseconds."""

    now: int

    @property
    def begin(self) -> int:
        """The oldest instant that is taken."""
        return self.now - BACK_MS

    @property
    def end(self) -> int:
        """The newest instant that is taken."""
        return self.now + AHEAD_MS

    def __str__(self) -> str:
        return f"the window from 400 days before to 5 minutes after the metaconsole's clock ({self.now})"
