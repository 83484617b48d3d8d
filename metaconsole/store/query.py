"""Reading samples back out of the log, as columns.

The one promise: each sample that was stored comes back once, in order of series and time, and of two values for one
instant the larger. Only the blocks of the metrics asked for travel, and nothing loops over samples.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
from psycopg.rows import class_row

from metaconsole.store.database import Connection
from metaconsole.store.frames import FORMAT_VERSION
from metaconsole.store.scope import Scope
from metaconsole.store.sql import statements
from shared.batches import samples_of, spread
from shared.columns import F64, I64, decode_i64, decode_values
from shared.pb import telemetry_pb2 as pb

_SQL: Final = statements("query")
_FETCH: Final = 500  # blocks between two looks at the limits
SAMPLES: Final = 5_000_000  # what one answer may hold
DECODED: Final = 100_000_000  # what may be decoded for it
SERIES: Final = 500

_T = TypeVar("_T")
_Samples: TypeAlias = tuple[I64, I64, F64]  # series, times, values
# How a piece of array work is run: the web hands in gevent's threadpool.
Compute: TypeAlias = Callable[[Callable[[], Any]], Any]


class QueryTooLargeError(ValueError):
    """A query that would answer, or read, more than one query may."""


class StoredFormatError(ValueError):
    """A stored block in a format that this program does not know."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series of the dictionary; first_ms is when it was first seen, UTC milliseconds."""

    site_id: int
    series_id: int
    resource_id: str
    metric_id: int
    metric: str
    attributes: dict[str, str]
    first_ms: int


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Samples sorted by (series, time): three arrays of equal length, times in UTC milliseconds."""

    series: I64
    times: I64
    values: F64

    def of(self, series_id: int) -> tuple[I64, F64]:
        """Return the times and values of one series, as views."""
        start, end = np.searchsorted(self.series, [series_id, series_id + 1])
        return self.times[start:end], self.values[start:end]


def directly(work: Callable[[], _T]) -> _T:
    """Run array work right here."""
    return work()


def series_of(
    connection: Connection,
    scope: Scope,
    resources: Sequence[str],
    metrics: Sequence[str] | None = None,
    limit: int = 1_000_000,
) -> list[Series]:
    """Return the series of resources (UUIDs), of some metrics or of all."""
    values = {
        "resources": list(resources),
        "metrics": None if metrics is None else list(metrics),
        "sites": scope.parameter,
        "limit": limit,
    }
    with connection.cursor(row_factory=class_row(Series)) as cursor:
        return cursor.execute(_SQL["series_by_resource"], values).fetchall()


def visible(connection: Connection, scope: Scope, resources: Sequence[str]) -> set[str]:
    """Return which of the resources (UUIDs) exist within the scope."""
    values = {"resources": list(resources), "sites": scope.parameter}
    return {row[0] for row in connection.execute(_SQL["visible"], values)}


def series_of_kind(
    connection: Connection, scope: Scope, kind: str, site: str | None, metric: str, limit: int
) -> list[Series]:
    """Return the series of one metric of all present resources of a kind; raises QueryTooLargeError above limit."""
    values = {"kind": kind, "site": site, "metric": metric, "sites": scope.parameter, "limit": limit + 1}
    with connection.cursor(row_factory=class_row(Series)) as cursor:
        found = cursor.execute(_SQL["series_by_kind"], values).fetchall()
    if len(found) > limit:
        raise QueryTooLargeError(f"more than {limit} series of {metric} match; name a site or ask without a step")
    return found


def read(
    connection: Connection,
    scope: Scope,
    wanted: Sequence[Series],
    from_ms: int,
    to_ms: int,
    compute: Compute = directly,
) -> Columns:
    """Return the samples of the series with from_ms <= time < to_ms.

    Raises QueryTooLargeError when they are too many, StoredFormatError for a block of an unknown format.
    """
    gathered = _Gathered(np.unique(np.array([one.series_id for one in wanted], dtype=np.int64)), from_ms, to_ms)
    for site_id in sorted({one.site_id for one in wanted if scope.allows(one.site_id)}):
        of_site = [one for one in wanted if one.site_id == site_id]
        for rows in _blocks(connection, site_id, of_site, from_ms, to_ms):
            compute(lambda rows=rows: gathered.add(rows))  # type: ignore[misc]  # a lambda's default
    columns: Columns = compute(gathered.columns)
    return columns


def _blocks(
    connection: Connection, site_id: int, wanted: Sequence[Series], from_ms: int, to_ms: int
) -> Iterator[list[tuple[bytes, bytes]]]:
    found = connection.execute(
        _SQL["sources"], {"resources": sorted({one.resource_id for one in wanted}), "sites": [site_id]}
    ).fetchall()
    values = {
        "site": site_id,
        "sources": [source for _, source in found],
        "metrics": sorted({one.metric_id for one in wanted}),
        "from_ms": from_ms,
        "to_ms": to_ms,
    }
    with connection.cursor(name="blocks", binary=True) as cursor:
        cursor.execute(_SQL["blocks"], values)
        while rows := cursor.fetchmany(_FETCH):
            yield rows


class _Grid:
    """Blocks of the same series, each with a value of every series at every instant."""

    def __init__(self, series: I64, picked: I64) -> None:
        self.count = len(series)
        self.picked = picked  # the places of the series that are wanted
        self._wanted = series[picked]
        self._times: list[I64] = []
        self._values: list[F64 | I64] = []

    def add(self, instants: I64, values: F64 | I64) -> None:
        self._times.append(instants)
        self._values.append(values.reshape(self.count, len(instants))[self.picked].T)

    def samples(self) -> Iterator[_Samples]:
        if self._times:
            times, values = np.concatenate(self._times), np.concatenate(self._values)
            series = np.broadcast_to(self._wanted, values.shape)
            yield series.ravel(), np.repeat(times, values.shape[1]), values.ravel().astype(np.float64)


class _Gathered:
    """Blocks decoded so far, of the series that are wanted."""

    def __init__(self, wanted: I64, from_ms: int, to_ms: int) -> None:
        self._wanted = wanted
        self._span = (from_ms, to_ms)
        self._parts: list[_Samples] = []
        self._samples = 0
        self._decoded = 0
        # Neighbouring cycles have the same series: their column is decoded, matched and spread once.
        self._grids: dict[tuple[int, int, bytes], _Grid] = {}
        self._instants: tuple[bytes, I64] = (b"", np.empty(0, dtype=np.int64))

    def add(self, rows: Sequence[tuple[bytes, bytes]]) -> None:
        for times, stored in rows:
            self._add_block(times, stored)

    def columns(self) -> Columns:
        found = [part for grid in self._grids.values() for part in grid.samples()] + self._parts
        if not found:
            empty = np.empty(0, dtype=np.int64)
            return Columns(empty, empty, np.empty(0))
        series, times, values = (np.concatenate(parts) for parts in zip(*found, strict=True))
        within = (times >= self._span[0]) & (times < self._span[1])
        series, times, values = series[within], times[within], values[within]
        order = np.lexsort((values, times, series))
        series, times, values = series[order], times[order], values[order]
        last = np.ones(len(series), dtype=np.bool_)
        last[:-1] = (series[1:] != series[:-1]) | (times[1:] != times[:-1])
        return Columns(series[last], times[last], values[last])

    def _add_block(self, times: bytes, stored: bytes) -> None:
        if not stored or stored[0] != FORMAT_VERSION:
            raise StoredFormatError(f"a stored block has format version {stored[0] if stored else 'none'}")
        block = pb.Block.FromString(stored[1:])
        grid = self._grid_of(block.series)
        if not len(grid.picked):
            return
        if times != self._instants[0]:
            column = pb.Column.FromString(times)
            self._instants = times, decode_i64(column, column.count)
        instants = self._instants[1]
        values = decode_values(block.values, self._admit(grid, block, len(instants)))
        if block.scope == pb.TIME_SCOPE_BATCH:
            grid.add(instants, values)
        else:
            series, at = spread(block, decode_i64(block.series, block.series.count), instants)
            self._parts.append((series[grid.picked], at[grid.picked], values[grid.picked].astype(np.float64)))

    def _admit(self, grid: _Grid, block: pb.Block, instants: int) -> int:
        count = samples_of(block, instants)
        self._decoded += count
        if self._decoded > DECODED:
            raise QueryTooLargeError("the range holds too much to read in one query; ask for a shorter one")
        self._samples += len(grid.picked) * (count // grid.count)
        if self._samples > SAMPLES:
            raise QueryTooLargeError(
                f"the answer would hold more than {SAMPLES} samples; ask for less or a shorter range"
            )
        return count

    def _grid_of(self, column: pb.Column) -> _Grid:
        key = (column.encoding, column.count, column.data)
        known = self._grids.get(key)
        if known is None:
            series = decode_i64(column, column.count)
            picked = np.flatnonzero(np.isin(series, self._wanted))
            known = self._grids[key] = _Grid(series, picked)
        return known
