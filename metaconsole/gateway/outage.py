"""What an operator is told while PostgreSQL does not take something.

The one promise: each reason is told once an outage, and its end with how long it took.
"""

import logging
import time
from typing import Final

_log: Final = logging.getLogger(__name__)


class Outage:
    """Of one thing that waits for PostgreSQL (`frames`, `series definitions`); `lost` and `back` may come often."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._since: float | None = None
        self._told: set[str] = set()  # the reason changes, as from cut to no connection left

    def lost(self, error: Exception) -> None:
        """Note that it was not taken."""
        if self._since is None:
            self._since = time.monotonic()
        if str(error) not in self._told:
            self._told.add(str(error))
            sentence = "PostgreSQL does not take %s; they wait: %s"
            _log.error(sentence, self._what, error, extra={"event": "store.lost"})

    def back(self) -> None:
        """Note that it was taken."""
        if self._since is not None:
            seconds = time.monotonic() - self._since
            self._since = None
            self._told.clear()
            _log.info("PostgreSQL takes %s again after %.1f s", self._what, seconds, extra={"event": "store.back"})
