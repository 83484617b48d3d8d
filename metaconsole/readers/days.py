"""Hours of series become days: chunks and rollups, as the merger writes them.

The one promise: the chunks hold all samples of the parts and of the chunks that they replace, each once, and the
rollups what holds of exactly these samples.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from metaconsole.readers.hours import aggregates_of, held_of
from metaconsole.store.aggregates import Aggregates
from metaconsole.store.merging import HOURS, Chunks, Parts, Piece, Rollups
from metaconsole.store.pieces import (
    HOUR_MS,
    is_integer,
    pack_rows,
    pack_times,
    unpack,
    unpack_series,
    unpack_times,
)
from metaconsole.store.runs import Run, merge, split
from shared.catalogue import catalogue
from shared.columns import I64

LEVEL: Final = 4  # of pcodec: a chunk stays for years
AT_ONCE: Final = 2**17  # samples: a megabyte stays near the processor, and the allocator hands it out again
_Group: TypeAlias = tuple[str, int, bool]  # kind of metric, interval, whether its values are integers


def days_of(parts: Parts, old: Sequence[Piece], metrics: Mapping[int, str]) -> tuple[list[Chunks], list[Rollups]]:
    """Return the chunks and rollups of one day that take the place of its parts and old chunks."""
    chunks, rollups = [], []
    order = np.lexsort((parts.hours, parts.series))
    edges = np.flatnonzero(np.diff(parts.series[order], prepend=-1, append=-1))
    known = {piece.series for piece in old}
    alike: dict[tuple[_Group, bytes], list[I64]] = {}
    mixed: list[Piece] = list(old)
    for begin, end in pairwise(edges.tolist()):
        places = order[begin:end]
        if (of := _follows(parts, places, known, metrics)) is None:
            mixed += [parts.piece(place) for place in places.tolist()]
        else:
            grids = parts.hours[places].tobytes() + parts.grids[places].tobytes()
            alike.setdefault((of, grids), []).append(places)
    for (of, _), members in alike.items():
        chunk, rollup = _joined(parts, np.array(members), *of)
        chunks.append(chunk)
        rollups.append(rollup)
    for (kind, interval_ms, _), runs in _groups(mixed, metrics):
        for run in merge(runs):
            name, times = pack_times(run.times)
            contents = pack_rows(run.values, run.starts, LEVEL)
            chunks.append(Chunks(run.series, interval_ms, len(run.times), name, times, contents))
            rollups.append(rollup_of(run, kind, interval_ms))
    return chunks, rollups


def rollup_of(run: Run, kind: str, interval_ms: int) -> Rollups:
    """Aggregate the hours of a run of one day."""
    hours: dict[int, Aggregates] = {}
    held: list[dict[str, list[float]]] = [{} for _ in run.series]
    for hour, part in split(run, HOUR_MS):
        hours[hour] = aggregates_of(part, kind)
        if kind == "state":
            for mine, found in zip(held, held_of(part, interval_ms), strict=True):
                for code, seconds in (found or {}).items():
                    mine.setdefault(str(code), [0.0] * HOURS)[hour % HOURS] = seconds
    return Rollups(run.series, kind, hours, held if kind == "state" else [None] * len(run.series))


def _follows(parts: Parts, places: I64, known: set[int], metrics: Mapping[int, str]) -> _Group | None:
    """Return how a series goes together with others, or None where its parts are not simply one after the other."""
    series = int(parts.series[places[0]])
    interval, integer = int(parts.intervals[places[0]]), is_integer(parts.contents[places[0]])
    follow = (
        series not in known
        and bool((np.diff(parts.hours[places]) > 0).all() and (parts.intervals[places] == interval).all())
        and all(is_integer(parts.contents[place]) is integer for place in places.tolist())
    )
    return (_kind(series, metrics), interval, integer) if follow else None


def _kind(series: int, metrics: Mapping[int, str]) -> str:
    metric = catalogue().get(metrics.get(series, ""))
    return "gauge" if metric is None else metric.kind


def _joined(parts: Parts, at: I64, kind: str, interval_ms: int, integer: bool) -> tuple[Chunks, Rollups]:
    """Join the hours of series at the same instants: at[i, j] is the place of hour j of series i.

    Their aggregates are those of the parts, which hold exactly these samples.
    """
    times, bounds = _times(parts, at[0])
    contents: list[bytes] = []
    at_once = max(1, AT_ONCE // len(times))
    dtype = np.int64 if integer else np.float64
    for begin in range(0, len(at), at_once):
        some = at[begin : begin + at_once].tolist()
        values: npt.NDArray[Any] = np.empty((len(some), len(times)), dtype)
        starts: I64 | None = None
        for row, places in enumerate(some):
            began = unpack_series([parts.contents[place] for place in places], bounds, values[row])
            if began is not None:
                starts = np.zeros(values.shape, np.int64) if starts is None else starts
                starts[row] = began
        contents += pack_rows(values, starts, LEVEL)
    series, (name, stored) = parts.series[at[:, 0]], pack_times(times)
    hours = {int(parts.hours[places[0]]): parts.aggregates.take(places) for places in at.T}
    held = [_held(parts, places) for places in at.tolist()] if kind == "state" else [None] * len(at)
    return Chunks(series, interval_ms, len(times), name, stored, contents), Rollups(series, kind, hours, held)


def _times(parts: Parts, places: I64) -> tuple[I64, list[int]]:
    """Return the instants of parts that follow each other, and where each part begins and the last one ends."""
    names = zip(parts.hours[places].tolist(), parts.grids[places].tolist(), strict=True)
    samples = parts.aggregates.samples[places].tolist()
    times = [unpack_times(parts.times[name], count) for name, count in zip(names, samples, strict=True)]
    return np.concatenate(times), [0, *accumulate(samples)]


def _held(parts: Parts, places: Sequence[int]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for place in places:
        for code, seconds in (parts.held[place] or {}).items():
            found.setdefault(code, [0.0] * HOURS)[int(parts.hours[place]) % HOURS] = seconds
    return found


def _groups(pieces: Sequence[Piece], metrics: Mapping[int, str]) -> Iterator[tuple[_Group, list[Run]]]:
    """Yield runs that may be merged, of series that were seen at the same instants all day."""
    by_series: dict[int, list[Piece]] = {}
    for piece in pieces:
        by_series.setdefault(piece.series, []).append(piece)
    alike: dict[tuple[Any, ...], list[list[Piece]]] = {}
    for series, mine in by_series.items():
        mine.sort(key=lambda piece: piece.hour)
        interval = max(piece.interval_ms for piece in mine)
        of = _kind(series, metrics), interval, all(is_integer(piece.content) for piece in mine)
        alike.setdefault((of, *(piece.times for piece in mine)), []).append(mine)
    times: dict[bytes, I64] = {}
    for (of, *_), members in alike.items():
        yield of, [_run(column, of[2], times) for column in zip(*members, strict=True)]


def _run(pieces: Sequence[Piece], integer: bool, known: dict[bytes, I64]) -> Run:
    """Decode pieces of different series at the same instants; integers stay what they are only among themselves."""
    stored = pieces[0].times
    if (times := known.get(stored)) is None:
        times = known[stored] = unpack_times(stored, pieces[0].samples)
    values: npt.NDArray[Any] = np.empty((len(pieces), len(times)), np.int64 if integer else np.float64)
    starts = np.zeros(values.shape, np.int64)
    for row, piece in enumerate(pieces):
        values[row], began = unpack(piece.content, len(times))
        if began is not None:
            starts[row] = began
    return Run(np.array([piece.series for piece in pieces]), times, values, starts if starts.any() else None)
