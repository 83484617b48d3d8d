"""What an operator is told of series that are refused because their site has as many as it may have.

The one promise: a satellite that invents names without end is told of once a minute, with how many were refused since.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

from metaconsole.seldom import Seldom
from metaconsole.store.quota import Excess

_log: Final = logging.getLogger(__name__)


class Quotas:
    """Of all satellites of a gateway."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._seldom = Seldom(clock)

    def refused(self, satellite: str, site: str, excess: Excess) -> None:
        """Take note of what was refused of a satellite."""
        name = f"satellite {satellite} of site {site}"
        since = self._seldom.since(name, excess.definitions)
        if since is None:
            return
        option = "--quota" if excess.definitions > excess.for_resources else "--resources"
        _log.error(
            "%s: %s; %s since this was last told. See what invents names there, or raise it: nephoscope site series %s "
            "%s N", name, excess, since, site, option, extra={"event": "series.refused"},
        )  # fmt: skip
