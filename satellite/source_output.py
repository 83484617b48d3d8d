"""Where a source's frames and its troubles go: the spool, and the log of the process.

The one promise: a full disk is told once and ends nothing; who asked for the room hears that there was none.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from satellite import encoding
from satellite.spool_errors import SpoolFullError
from shared.model import Gap
from shared.pb import uplink_pb2

Put = Callable[[uplink_pb2.Frame], Awaitable[None]]
_TOLD: Final = 1000  # sentences that are remembered; what comes after them is not told
_log = logging.getLogger(__name__)


class SourceOutput:
    """The way out of one source, shared by all that runs for it."""

    def __init__(self, source: str, put: Put) -> None:
        self.source = source
        self._put = put
        self._told: set[str] = set()

    async def put(self, *frames: uplink_pb2.Frame) -> bool:
        """Spool frames in their order; return whether the disk had room for all. Raises SpoolBrokenError."""
        try:
            for frame in frames:
                await self._put(frame)
        except SpoolFullError as error:
            self.tell(str(error))
            return False
        return True

    def gaps(self, gaps: Sequence[Gap]) -> list[uplink_pb2.Frame]:
        """Return gaps as a frame; none where there are none."""
        return [encoding.gaps_frame(self.source, gaps)] if gaps else []

    def tell(self, sentence: str, error: Exception | None = None) -> None:
        """Log a sentence the first time that it comes, with the traceback of an error where one is given."""
        if sentence not in self._told and len(self._told) < _TOLD:
            self._told.add(sentence)
            _log.error("source %s: %s (told once)", self.source, sentence, exc_info=error)
