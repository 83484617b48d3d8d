"""Blocks of readings for a collector: one per metric, with the same Layout object for as long as the series stay.

The one promise: what comes out fits the catalogue's value type (int64 or float64) and holds finite values only.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from shared.catalogue import catalogue
from shared.columns import F64, I64
from shared.model import Layout, ReadingBlock, Readings, SeriesKey

_Part: TypeAlias = tuple[Sequence[SeriesKey], npt.ArrayLike, npt.ArrayLike | None]  # series, values, starts


class Blocks:
    """Gathers the samples of one cycle after another; the layouts live from cycle to cycle."""

    def __init__(self) -> None:
        self._layouts: dict[str, Layout] = {}
        self._parts: dict[str, list[_Part]] = {}

    def add(self, series: Sequence[SeriesKey], values: npt.ArrayLike, starts: npt.ArrayLike | None = None) -> None:
        """Add one value per series, all of one metric; a value that is not finite is left out.

        Of a counter, starts says when each began to count from zero (UTC milliseconds), 0 where that is not known.
        """
        if series:
            self._parts.setdefault(series[0].metric, []).append((series, values, starts))

    def readings(self, time_ms: int) -> Readings:
        """Return what was added since the last call, as readings of one instant (UTC milliseconds)."""
        parts, self._parts = self._parts, {}
        blocks = [block for metric, some in parts.items() if (block := self._block(metric, some)) is not None]
        self._layouts = {block.layout.metric: block.layout for block in blocks}
        return Readings(np.array([time_ms], dtype=np.int64), blocks)

    def _block(self, metric: str, parts: Sequence[_Part]) -> ReadingBlock | None:
        series = tuple(key for keys, _, _ in parts for key in keys)
        # Whole numbers stay whole: a detour through float64 would round counters above 2**53.
        values = np.concatenate([np.asarray(some) for _, some, _ in parts])
        starts = _starts(parts)
        if not (finite := np.isfinite(values)).all():
            series = tuple(key for key, good in zip(series, finite.tolist(), strict=True) if good)
            values = values[finite]
            starts = None if starts is None else starts[finite]
        if not series:
            return None
        integer = catalogue()[metric].integer
        typed: F64 | I64 = values.astype(np.int64) if integer else values.astype(np.float64)
        known = self._layouts.get(metric)
        layout = known if known is not None and known.series == series else Layout(metric, series)
        return ReadingBlock(layout, typed, starts=starts)


def _starts(parts: Sequence[_Part]) -> I64 | None:
    if all(starts is None for _, _, starts in parts):
        return None
    unknown = (np.zeros(len(keys), np.int64) if starts is None else np.asarray(starts) for keys, _, starts in parts)
    return np.concatenate(list(unknown)).astype(np.int64)
