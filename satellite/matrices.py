"""Readings of many instants: one matrix a metric for what was seen at all of them, and the rest by its own instants.

The one promise: while the series stay the same, so do the Layout objects; no loop is one over samples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from shared.catalogue import catalogue
from shared.columns import F64, I64
from shared.model import Layout, ReadingBlock, SeriesKey

_Mask: TypeAlias = npt.NDArray[np.bool_]
_Groups: TypeAlias = tuple[tuple[SeriesKey, ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some series of one metric. The same tuple of series each time keeps the work small.

    values: series x samples, NaN for what was not seen; what is not whole of a whole metric is rounded.
    places: of the same shape, or one that broadcasts to it: which of the instants each is of, ascending in a row;
    negative for none.
    """

    series: tuple[SeriesKey, ...]
    values: F64
    places: I64


class Layouts:
    """The layouts that are in use. What is not used from one answer to the next is forgotten."""

    def __init__(self, before: Mapping[tuple[str, bytes], tuple[_Groups, Layout]] | None = None) -> None:
        self._now: dict[tuple[str, bytes], tuple[_Groups, Layout]] = {}
        self._before = before or {}

    def next(self) -> "Layouts":
        """Return those for the next answer; this one stays as it is."""
        return Layouts(self._now)

    def get(self, metric: str, groups: _Groups, chosen: _Mask) -> Layout:
        """Return the layout of the chosen ones of some series."""
        name = metric, chosen.tobytes()
        for known in (self._now, self._before):
            if (found := known.get(name)) is not None and found[0] == groups:
                self._now[name] = found
                return found[1]
        every = [key for keys in groups for key in keys]
        series = every if chosen.all() else [every[place] for place in np.flatnonzero(chosen).tolist()]
        layout = Layout(metric, tuple(series))
        self._now[name] = groups, layout
        return layout


def blocks(parts: Sequence[Part], instants: int, layouts: Layouts) -> list[ReadingBlock]:
    """Return the blocks of an answer that has so many instants. No series may stand in two parts."""
    by_metric: dict[str, list[Part]] = {}
    for part in parts:
        if part.series:
            by_metric.setdefault(part.series[0].metric, []).append(part)
    return [block for metric, some in by_metric.items() for block in _blocks(metric, some, instants, layouts)]


def _blocks(metric: str, parts: Sequence[Part], instants: int, layouts: Layouts) -> list[ReadingBlock]:
    groups = tuple(part.series for part in parts)
    values, places = _joined(parts)
    seen = np.isfinite(values) & (places >= 0)
    typed = _typed(metric, values, seen)
    complete: _Mask = (seen.sum(axis=1) == seen.shape[1]) & (seen.shape[1] == instants)
    made = []
    if complete.any():
        made.append(ReadingBlock(layouts.get(metric, groups, complete), typed[complete].reshape(-1)))
    seen &= ~complete[:, np.newaxis]
    for column in range(seen.shape[1]):
        some = seen[:, column]
        if some.any():
            layout = layouts.get(metric, groups, some)
            made.append(ReadingBlock(layout, typed[some, column], instants=places[some, column]))
    return made


def _joined(parts: Sequence[Part]) -> tuple[F64, I64]:
    width = max(part.values.shape[1] for part in parts)
    values = np.full((sum(len(part.series) for part in parts), width), np.nan)
    places = np.full(values.shape, -1, dtype=np.int64)
    row = 0
    for part in parts:
        rows = slice(row, row + len(part.series))
        values[rows, : part.values.shape[1]] = part.values
        places[rows, : part.values.shape[1]] = part.places
        row = rows.stop
    return values, places


def _typed(metric: str, values: F64, seen: _Mask) -> F64 | I64:
    if not catalogue()[metric].integer:
        return values
    return np.rint(np.where(seen, values, 0.0)).astype(np.int64)
