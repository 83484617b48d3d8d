"""The window of instants that are accepted: raw retention back, a little ahead for clocks that differ.

It moves with the offset of the clock that stamped the instants, by an hour at most; instants are stored as stamped.

The one promise: what is accepted of a site is at most as old as its longest rule for raw samples, as the rules were
within the last minutes; while PostgreSQL is away the last ones known go on. Nothing is accepted that is further ahead
than an hour and 5 minutes, whatever a satellite claims of its clock.
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from metaconsole.store.database import AsyncDatabase, UnavailableError
from metaconsole.store.retention import load_rules
from metaconsole.store.retention_rules import Rules

AHEAD_MS: Final = timedelta(minutes=5) // timedelta(milliseconds=1)
# A clock that is off by more counts as off by this.
CORRECTED_MS: Final = timedelta(hours=1) // timedelta(milliseconds=1)
RULES_SECONDS: Final = 60.0
_DAY_MS: Final = timedelta(days=1) // timedelta(milliseconds=1)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Window:
    """From begin to end, both included, UTC milliseconds; never from before 1970.

    now is by the metaconsole's clock, offset_ms how far the one that stamped is ahead of it, as far as is known.
    """

    now: int
    days: int
    offset_ms: int = 0

    @property
    def corrected(self) -> int:
        """What the clock that stamps is taken to say now."""
        return self.now + max(-CORRECTED_MS, min(CORRECTED_MS, self.offset_ms))

    @property
    def begin(self) -> int:
        """The oldest instant that is taken."""
        return max(0, self.corrected - self.days * _DAY_MS)

    @property
    def end(self) -> int:
        """The newest instant that is taken."""
        return self.corrected + AHEAD_MS

    def __str__(self) -> str:
        clock = f"the metaconsole's clock ({self.now})"
        if self.offset_ms:
            clock += f", from which the one that stamped is {self.offset_ms / 1000:+.3f} s away"
        return f"the window from {self.days} days before to 5 minutes after {clock}"


class Windows:
    """The windows of all sites. `run` is a task of the gateway that ends by cancellation."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._days: dict[int, int] = {}

    def of(self, site_id: int, now_ms: int, offset_ms: int = 0) -> Window:
        """Return the window of a site at a time of the metaconsole's clock, for a clock that is so far ahead of it."""
        days = self._days.get(site_id)
        if days is None:
            days = self._days[site_id] = self._rules.longest_of_site("raw", site_id)
        return Window(now_ms, days, offset_ms)

    def use(self, rules: Rules) -> None:
        """Go by other rules from now on."""
        self._rules = rules
        self._days.clear()

    async def run(self, database: AsyncDatabase) -> None:
        """Read the rules again and again until cancelled."""
        while True:
            await asyncio.sleep(RULES_SECONDS)
            try:
                async with database.connection() as connection:
                    self.use(await load_rules(connection))
            except UnavailableError as error:
                _log.debug("the rules of retention were not read: %s", error)
