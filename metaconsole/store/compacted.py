"""Compacted samples: those in parts (hours of neighbouring series) and in chunks (days of a series).

The one promise: of a part only the bytes of the series asked for travel, times that series share are decoded once, and
what a question costs is counted before it is decoded. The times, which carry a hash of themselves as their name, are
kept in the process.
"""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from metaconsole.store.database import Connection
from metaconsole.store.hot import Compute
from metaconsole.store.kept import Kept
from metaconsole.store.pieces import DAY_MS, HOUR_MS, SLAB, unpack, unpack_times
from metaconsole.store.samples import Budget, QueryTooLargeError, Stretch
from metaconsole.store.sql import statements
from shared.columns import I64

_SQL: Final = statements("query")
_CHUNKS: Final = 5_000  # of one statement
_SERIES: Final = 500  # whose parts are read at once: they are of few days, but for a backfill under way
_PIECES: Final = 100_000  # what one statement may return
_Piece: TypeAlias = tuple[int, int, int, int, bytes]  # hour or day, series, grid, samples, content
_Grid: TypeAlias = tuple[int, int]  # hour or day, name
_OVERHEAD: Final = 300  # bytes of what keeps a grid
_kept: Final[Kept[tuple[str, int, _Grid, int], I64]] = Kept(16 * 1024 * 1024)  # by table, site, name and length


def read_parts(
    connection: Connection,
    site_id: int,
    series: Sequence[int],
    from_ms: int,
    to_ms: int,
    budget: Budget,
    compute: Compute,
) -> list[Stretch]:
    """Return the samples of series in parts with from_ms <= time < to_ms; raises QueryTooLargeError, PieceError."""
    hours = {"first": from_ms // HOUR_MS, "last": (to_ms - 1) // HOUR_MS}
    found: list[Stretch] = []
    for begin in range(0, len(series), _SERIES):
        some = list(series[begin : begin + _SERIES])
        values = {"site": site_id, "slabs": sorted({one // SLAB for one in some}), "series": some, **hours}
        pieces = _fetch(connection, "parts", values)
        found += _decoded(connection, site_id, "part_grids", pieces, (from_ms, to_ms), budget, compute)
    return found


def read_chunks(
    connection: Connection,
    site_id: int,
    series: Sequence[int],
    from_ms: int,
    to_ms: int,
    budget: Budget,
    compute: Compute,
) -> list[Stretch]:
    """Return the samples of series in chunks with from_ms <= time < to_ms; raises QueryTooLargeError, PieceError."""
    first, last = from_ms // DAY_MS, (to_ms - 1) // DAY_MS
    at_once = max(1, _CHUNKS // (last + 1 - first))
    found: list[Stretch] = []
    for begin in range(0, len(series), at_once):
        values = {"site": site_id, "series": list(series[begin : begin + at_once]), "first": first, "last": last}
        pieces = _fetch(connection, "chunks", values)
        found += _decoded(connection, site_id, "chunk_grids", pieces, (from_ms, to_ms), budget, compute)
    return found


def read_chunks_of(
    connection: Connection,
    site_id: int,
    days: Sequence[tuple[int, int]],
    from_ms: int,
    to_ms: int,
    budget: Budget,
    compute: Compute,
) -> list[Stretch]:
    """Return the samples of chunks that are named by series and day; otherwise as read_chunks."""
    found: list[Stretch] = []
    for begin in range(0, len(days), _CHUNKS):
        some = days[begin : begin + _CHUNKS]
        values = {
            "site": site_id,
            "series": [series for series, _ in some],
            "days": [day for _, day in some],
            "first": min(day for _, day in some),
            "last": max(day for _, day in some),
        }
        pieces = _fetch(connection, "chunks_of_days", values)
        found += _decoded(connection, site_id, "chunk_grids", pieces, (from_ms, to_ms), budget, compute)
    return found


def _fetch(connection: Connection, statement: str, values: dict[str, Any]) -> list[_Piece]:
    with connection.cursor(binary=True) as cursor:
        pieces = cursor.execute(_SQL[statement], {**values, "limit": _PIECES + 1}).fetchall()
    if len(pieces) > _PIECES:
        raise QueryTooLargeError("the range holds too much to read in one query; ask for a shorter one")
    return pieces


def _decoded(
    connection: Connection,
    site_id: int,
    statement: str,
    pieces: Sequence[_Piece],
    span: tuple[int, int],
    budget: Budget,
    compute: Compute,
) -> list[Stretch]:
    if not pieces:
        return []
    samples = sum(piece[3] for piece in pieces)
    budget.spend(samples, samples)
    times = _times(connection, site_id, statement, {(when, grid): samples for when, _, grid, samples, _ in pieces})
    found: list[Stretch] = compute(lambda: _unpacked(pieces, times, span))
    return found


def _times(connection: Connection, site_id: int, statement: str, lengths: dict[_Grid, int]) -> dict[_Grid, I64]:
    """Return the times of grids; when is the hour of a part's grid or the day of a chunk's."""
    found = {grid: _kept.get((statement, site_id, grid, length)) for grid, length in lengths.items()}
    missing = [grid for grid, times in found.items() if times is None]
    if missing:
        whens = [when for when, _ in missing]
        values = {"site": site_id, "whens": whens, "grids": [grid for _, grid in missing]}
        with connection.cursor(binary=True) as cursor:
            stored = cursor.execute(_SQL[statement], {**values, "first": min(whens), "last": max(whens)}).fetchall()
        for when, name, content in stored:
            grid = when, name
            times = found[grid] = unpack_times(content, lengths[grid])
            _kept.keep((statement, site_id, grid, lengths[grid]), times, _OVERHEAD + times.nbytes)
    return {grid: times for grid, times in found.items() if times is not None}


def _unpacked(pieces: Sequence[_Piece], times: dict[_Grid, I64], span: tuple[int, int]) -> list[Stretch]:
    within = {grid: _within(instants, span) for grid, instants in times.items()}
    found = []
    for when, series, grid, samples, content in pieces:
        instants, some = within[when, grid]
        if len(instants):
            values, starts = unpack(content, samples)
            found.append(Stretch(series, instants, values[some], None if starts is None else starts[some]))
    return found


def _within(times: I64, span: tuple[int, int]) -> tuple[I64, slice]:
    begin, end = np.searchsorted(times, span).tolist()
    return times[begin:end], slice(begin, end)
