"""The frames that the metaconsole refused, in all sessions of this run.

The one promise: each is counted as soon as it is told, and each reason is logged once.
"""

import logging
from typing import Final

from shared.pb import uplink_pb2

_log = logging.getLogger(__name__)
_REASONS: Final = 100  # that are told apart; a metaconsole may invent more


class Refusals:
    """What was refused since the start of this run."""

    def __init__(self) -> None:
        self.frames = 0
        self._reasons: set[str] = set()

    def note(self, refusal: uplink_pb2.Refusal) -> None:
        """Count a refused frame."""
        self.frames += 1
        if refusal.reason not in self._reasons and len(self._reasons) < _REASONS:
            self._reasons.add(refusal.reason)
            _log.error(
                "the metaconsole refused frame %d (%s): %.300s (each reason is told once)",
                refusal.sequence,
                refusal.reason[:50],
                refusal.detail,
            )
