"""The newest value of each series, as the live reader of this machine keeps them.

The one promise: while there is no live view every series counts as never seen; nothing fails and nothing is made up.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from metaconsole.live_view import LiveView
from shared.columns import F64, I64

FRESH_INTERVALS: Final = 2  # a value older than this many intervals of its plan is unknown


@dataclass(frozen=True, slots=True, eq=False)
class Newest:
    """Per series asked for: UTC milliseconds of its newest value (0 for never), the value, its plan's interval."""

    times: I64
    values: F64
    intervals: I64

    def fresh(self, now_ms: int) -> npt.NDArray[np.bool_]:
        """Return which values are not older than two intervals."""
        return (self.times > 0) & (now_ms - self.times <= FRESH_INTERVALS * self.intervals)


class Latest:
    """The live view of this machine."""

    def __init__(self, run: Path) -> None:
        self._view = LiveView.open(run)

    def of(self, series_ids: I64) -> Newest:
        """Return the newest values of the series."""
        return Newest(*self._view.latest(series_ids))
