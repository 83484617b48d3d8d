"""Tails: the hot rows of the log, decoded, of one metric of one source.

The one promise: a tail says which rows it holds, so that a question of any snapshot can tell whether it serves, and a
row is in it once. Nothing in a tail ever changes: with more rows it becomes another one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from uuid import UUID

import numpy as np
import numpy.typing as npt

from metaconsole.store.samples import Stretch
from shared.columns import I64

Numbers: TypeAlias = npt.NDArray[Any]  # float64 or int64
Span: TypeAlias = tuple[int, int]  # UTC milliseconds, the end excluded
_Index: TypeAlias = npt.NDArray[np.intp]
_OVERHEAD: Final = 500  # bytes of a few small objects


@dataclass(frozen=True, slots=True)
class Place:
    """How far the compactor is with a satellite, and how far the satellite's log goes, in one snapshot."""

    after: int  # rows through this one are in parts
    seen: int  # of those from there through this one
    through_ms: int  # the samples before this time are
    head: int  # the newest row

    def is_reached(self, later: "Place") -> bool:
        """Return whether whatever is hot at the later place is hot here or came since."""
        return self.after <= later.after and self.seen <= later.seen and self.through_ms <= later.through_ms


Places: TypeAlias = Mapping[UUID, Place]  # of the satellites of a site


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Samples of a satellite in order of their rows: ordinals[i] and times[i] are of values[i].

    That is a sample of series[i]; or, in a matrix, one of every series: values[i, j] is of series[j].
    """

    satellite: UUID
    series: I64
    ordinals: I64
    times: I64
    values: Numbers
    starts: I64 | None  # of the counters, in the shape of values

    @property
    def is_matrix(self) -> bool:
        """Tell whether every series has a sample at every instant."""
        return self.values.ndim > 1

    def newer(self, ordinal: int) -> "Piece | None":
        """Return what came after a row."""
        if self.ordinals[0] > ordinal:  # ascending
            return self
        begin = int(np.searchsorted(self.ordinals, ordinal, "right"))
        if begin == len(self.ordinals):
            return None
        return Piece(
            self.satellite,
            self.series if self.is_matrix else self.series[begin:],
            self.ordinals[begin:],
            self.times[begin:],
            self.values[begin:],
            None if self.starts is None else self.starts[begin:],
        )

    def stretches(self, wanted: I64, place: Place, span: Span) -> Iterator[Stretch]:
        """Yield the samples of the series wanted that are hot and within a span."""
        hot = (self.ordinals > place.after) & (self.ordinals <= place.head)
        hot &= (self.ordinals > place.seen) | (self.times >= place.through_ms)
        hot &= (self.times >= span[0]) & (self.times < span[1])
        picked = np.isin(self.series, wanted)
        if self.is_matrix:
            yield from self._of_columns(np.flatnonzero(hot), np.flatnonzero(picked))
        else:
            yield from self._of_samples(np.flatnonzero(hot & picked))

    def _of_columns(self, at: _Index, picked: _Index) -> Iterator[Stretch]:
        if not len(at):
            return
        times = self.times[at]
        if not (times[1:] > times[:-1]).all():
            order = np.argsort(times, kind="stable")
            at, times = at[order], times[order]
        cells = np.ix_(at, picked)
        values = self.values[cells].T
        starts = None if self.starts is None else self.starts[cells].T
        for row, series in enumerate(self.series[picked].tolist()):
            yield Stretch(series, times, values[row], None if starts is None else starts[row])

    def _of_samples(self, at: _Index) -> Iterator[Stretch]:
        if not len(at):
            return
        at = at[np.lexsort((self.times[at], self.series[at]))]
        edges = np.flatnonzero(self.series[at][1:] != self.series[at][:-1]) + 1
        for some in np.split(at, edges):
            starts = None if self.starts is None else self.starts[some]
            yield Stretch(int(self.series[some[0]]), self.times[some], self.values[some], starts)


@dataclass(frozen=True, slots=True, eq=False)
class Tail:
    """All that is hot at some places of rows that reach since_ms or later, but for rows newer than the heads there.

    It may hold a few rows more; none of them twice.
    """

    since_ms: int
    places: Places
    pieces: Sequence[Piece]

    def serves(self, places: Places, from_ms: int) -> bool:
        """Return whether all that is hot at these places from a time on is here or newer than the heads."""
        return self.since_ms <= from_ms and all(
            satellite not in self.places or self.places[satellite].is_reached(place)
            for satellite, place in places.items()
        )

    def reaches(self, places: Places) -> bool:
        """Return whether nothing came since, and all that is here is still hot."""
        return all(
            (known := self.places.get(satellite)) is not None
            and known.head >= place.head
            and known.after == place.after
            for satellite, place in places.items()
        )

    def head(self, satellite: UUID) -> int:
        """Return the row through which the rows of a satellite are here."""
        return self.places[satellite].head if satellite in self.places else 0

    def with_more(self, places: Places, more: Sequence[Piece]) -> "Tail":
        """Return a tail that served at these places, with the rows that were newer, and without what is hot no more."""
        heads = {
            satellite: Place(place.after, place.seen, place.through_ms, max(place.head, self.head(satellite)))
            for satellite, place in places.items()
        }
        still = [one.newer(places[one.satellite].after) for one in self.pieces if one.satellite in places]
        return Tail(self.since_ms, heads, _joined([*(one for one in still if one is not None), *more]))

    def stretches(self, wanted: I64, places: Places, span: Span) -> list[Stretch]:
        """Return the hot samples of series (ascending) within a span."""
        return [
            stretch
            for one in self.pieces
            if one.satellite in places
            for stretch in one.stretches(wanted, places[one.satellite], span)
        ]

    @property
    def size(self) -> int:
        """Bytes in memory, roughly."""
        arrays = [
            array
            for one in self.pieces
            for array in (one.series, one.ordinals, one.times, one.values, one.starts)
            if array is not None
        ]
        return _OVERHEAD + sum(_OVERHEAD + array.nbytes for array in arrays)


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Return one piece of those that are alike; the pieces come in order of their rows."""
    alike: dict[tuple[UUID, bytes | None], list[Piece]] = {}
    named: dict[int, bytes] = {}  # pieces of neighbouring rows share their series
    for one in pieces:
        layout = named.get(id(one.series)) if one.is_matrix else None
        if layout is None and one.is_matrix:
            layout = named[id(one.series)] = one.series.tobytes()
        alike.setdefault((one.satellite, layout), []).append(one)
    return [same[0] if len(same) == 1 else _join(same) for same in alike.values()]


def _join(same: Sequence[Piece]) -> Piece:
    first, starts = same[0], None
    if any(one.starts is not None for one in same):
        starts = np.concatenate(
            [np.zeros(one.values.shape, np.int64) if one.starts is None else one.starts for one in same]
        )
    return Piece(
        first.satellite,
        first.series if first.is_matrix else np.concatenate([one.series for one in same]),
        np.concatenate([one.ordinals for one in same]),
        np.concatenate([one.times for one in same]),
        np.concatenate([one.values for one in same]),
        starts,
    )
