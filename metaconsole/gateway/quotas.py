"""What an operator is told of series that are refused because their site has as many as it may have.

The one promise: a satellite that invents names without end is told of once a minute, with how many were refused since.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from metaconsole.store.quota import Excess

TELL_SECONDS: Final = 60.0
_log: Final = logging.getLogger(__name__)


class Quotas:
    """Of all satellites of a gateway."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told_at: dict[str, float] = {}
        self._untold = Counter[str]()

    def refused(self, satellite: str, site: str, excess: Excess) -> None:
        """Take note of what was refused of a satellite."""
        name = f"satellite {satellite} of site {site}"
        self._untold[name] += excess.definitions
        now = self._clock()
        if now - self._told_at.get(name, -TELL_SECONDS) < TELL_SECONDS:
            return
        self._told_at[name] = now
        _log.error(
            "%s: %s; %s since this was last told. See what invents names there, or raise it: nephoscope site series %s "
            "--quota N", name, excess, self._untold.pop(name), site, extra={"event": "series.refused"},
        )  # fmt: skip
