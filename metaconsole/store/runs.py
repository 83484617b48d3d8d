"""Runs: samples of several series at the same instants, as one matrix. What the compactor and the merger work on.

The one promise: every (series, instant) that goes in comes out in exactly one run, once, with the larger of its values.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from shared.columns import I64

Numbers: TypeAlias = npt.NDArray[Any]  # float64 or int64
Places: TypeAlias = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """values[i, j] is the sample of series[i] at times[j]; times ascend, in UTC milliseconds.

    starts, of the same shape, says when a counter began (0: unknown); None for all unknown.
    """

    series: I64
    times: I64
    values: Numbers
    starts: I64 | None = None

    def between(self, begin: int, end: int) -> "Run":
        """Return the run of the instants at these places."""
        starts = None if self.starts is None else np.ascontiguousarray(self.starts[:, begin:end])
        return Run(self.series, self.times[begin:end], np.ascontiguousarray(self.values[:, begin:end]), starts)


def split(run: Run, span_ms: int) -> Iterator[tuple[int, Run]]:
    """Yield the run cut at multiples of span_ms, each part with its number since 1970."""
    if not len(run.times):
        return
    spans = run.times // span_ms
    edges = [0, *(np.flatnonzero(np.diff(spans)) + 1).tolist(), len(spans)]
    for begin, end in pairwise(edges):
        yield int(spans[begin]), run if end - begin == len(spans) else run.between(begin, end)


def merge(pieces: Sequence[Run]) -> Iterator[Run]:
    """Yield runs that hold the samples of all pieces, whose values are of one type."""
    pieces = [piece for piece in pieces if piece.values.size]
    if not pieces:
        return
    series = np.unique(np.concatenate([piece.series for piece in pieces]))
    times = np.unique(np.concatenate([piece.times for piece in pieces]))
    cells = sum(piece.values.size for piece in pieces)
    # A matrix that is mostly holes, as when every series has instants of its own, is not worth its memory.
    yield from _dense(pieces, series, times) if len(series) * len(times) <= 4 * cells + 1024 else _sparse(pieces)


def _dense(pieces: Sequence[Run], series: I64, times: I64) -> Iterator[Run]:
    whole = len(pieces) == 1 and len(series) == len(pieces[0].series)
    if whole and len(times) == len(pieces[0].times) and (np.diff(pieces[0].times) > 0).all():
        yield _sorted(pieces[0])
        return
    values = np.zeros((len(series), len(times)), pieces[0].values.dtype)
    known = np.zeros(values.shape, np.bool_)
    starts = np.zeros(values.shape, np.int64) if any(piece.starts is not None for piece in pieces) else None
    for piece in pieces:
        _place(piece, np.searchsorted(series, piece.series), np.searchsorted(times, piece.times), values, known, starts)
    full = known.all(axis=1)
    if full.any():
        yield Run(series[full], times, values[full], None if starts is None else starts[full])
    # Series that were seen at the same instants go together.
    partial = np.flatnonzero(~full)
    patterns: dict[bytes, list[int]] = {}
    packed = np.packbits(known[partial], axis=1)
    for row, pattern in zip(partial.tolist(), packed, strict=True):
        patterns.setdefault(pattern.tobytes(), []).append(row)
    for rows in patterns.values():
        at = np.ix_(np.array(rows), np.flatnonzero(known[rows[0]]))
        yield Run(series[rows], times[at[1][0]], values[at], None if starts is None else starts[at])


def _place(
    piece: Run, rows: Places, columns: Places, values: Numbers, known: npt.NDArray[np.bool_], starts: I64 | None
) -> None:
    if len(np.unique(columns)) < len(columns):  # an instant stands twice: one after the other, the larger value wins
        for place in range(len(columns)):
            _place(piece.between(place, place + 1), rows, columns[place : place + 1], values, known, starts)
        return
    at = np.ix_(rows, columns)
    wins = ~known[at] | (piece.values > values[at])
    values[at] = np.where(wins, piece.values, values[at])
    known[at] = True
    if starts is not None and piece.starts is not None:
        starts[at] = np.where(wins, piece.starts, starts[at])


def _sparse(pieces: Sequence[Run]) -> Iterator[Run]:
    series = np.concatenate([np.repeat(piece.series, len(piece.times)) for piece in pieces])
    times = np.concatenate([np.tile(piece.times, len(piece.series)) for piece in pieces])
    values = np.concatenate([piece.values.ravel() for piece in pieces])
    starts = np.concatenate([_starts(piece).ravel() for piece in pieces])
    yield from of_samples(series, times, values, starts)


def of_samples(series: I64, times: I64, values: Numbers, starts: I64) -> Iterator[Run]:
    """Yield runs of samples in any order."""
    order = np.lexsort((values, times, series))
    series, times, values, starts = series[order], times[order], values[order], starts[order]
    last = np.append((series[1:] != series[:-1]) | (times[1:] != times[:-1]), True)
    series, times, values, starts = series[last], times[last], values[last], starts[last]
    edges = np.append(np.flatnonzero(np.append(True, series[1:] != series[:-1])), len(series))
    alike: dict[bytes, list[int]] = {}
    for place, (begin, end) in enumerate(pairwise(edges.tolist())):
        alike.setdefault(times[begin:end].tobytes(), []).append(place)
    for places in alike.values():
        begins = edges[places]
        length = int(edges[places[0] + 1] - begins[0])
        at = begins[:, None] + np.arange(length)
        began = starts[at]
        yield Run(series[begins], times[at[0]], values[at], began if began.any() else None)


def _sorted(piece: Run) -> Run:
    if (np.diff(piece.series) > 0).all():
        return piece
    order = np.argsort(piece.series)
    return Run(
        piece.series[order], piece.times, piece.values[order], None if piece.starts is None else piece.starts[order]
    )


def _starts(piece: Run) -> I64:
    return np.zeros(piece.values.shape, np.int64) if piece.starts is None else piece.starts
