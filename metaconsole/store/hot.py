"""The hot samples: those of the log that the compactor has not moved into parts yet.

The one promise: in the snapshot of its transaction a sample is found here or in parts and chunks, never in both. Only
the blocks of the metrics asked for travel, and nothing loops over samples.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import numpy as np

from metaconsole.store.database import Connection
from metaconsole.store.dictionary import Series
from metaconsole.store.frames import FORMAT_VERSION
from metaconsole.store.samples import Budget, StoredFormatError, Stretch
from metaconsole.store.sql import statements
from shared.batches import samples_of, spread
from shared.columns import F64, I64, decode_i64, decode_values
from shared.pb import telemetry_pb2 as pb

_SQL: Final = statements("query")
_FETCH: Final = 500  # blocks between two looks at the limits
# How a piece of array work is run: the web hands in gevent's threadpool.
Compute: TypeAlias = Callable[[Callable[[], Any]], Any]
_Block: TypeAlias = tuple[int, bytes, bytes]  # the first instant that is hot, the batch's times, the block


@dataclass(frozen=True, slots=True)
class _Positions:
    """How far the compactor is with each satellite of a site."""

    satellites: list[Any]
    after: list[int]  # rows through this one are in parts
    seen: list[int]  # of those from there through this one
    through_ms: list[int]  # the samples before this time are
    received_at: datetime  # no row that is hot was received before


def read_hot(
    connection: Connection,
    site_id: int,
    wanted: Sequence[Series],
    from_ms: int,
    to_ms: int,
    budget: Budget,
    compute: Compute,
) -> list[Stretch]:
    """Return the hot samples of series of a site with from_ms <= time < to_ms; raises QueryTooLargeError."""
    gathered = _Gathered(wanted, from_ms, to_ms, budget)
    for rows in _blocks(connection, site_id, wanted, from_ms, to_ms):
        compute(lambda rows=rows: gathered.add(rows))  # type: ignore[misc]  # a lambda's default
    found: list[Stretch] = compute(lambda: list(gathered.stretches()))
    return found


def _blocks(
    connection: Connection, site_id: int, wanted: Sequence[Series], from_ms: int, to_ms: int
) -> Iterator[list[_Block]]:
    positions = _positions(connection, site_id)
    if positions is None:
        return
    resources = sorted({one.resource_id for one in wanted})
    sources = connection.execute(_SQL["sources"], {"site": site_id, "resources": resources}).fetchall()
    values = {
        "site": site_id,
        "satellites": positions.satellites,
        "after": positions.after,
        "seen": positions.seen,
        "through_ms": positions.through_ms,
        "least": min(positions.after),
        **_received(positions, from_ms),
        "sources": [source for (source,) in sources],
        "metrics": sorted({one.metric_id for one in wanted}),
        "from_ms": from_ms,
        "to_ms": to_ms,
    }
    rows: list[_Block] = []
    with connection.cursor(binary=True) as cursor:
        for row in cursor.stream(_SQL["hot_blocks"], values, size=_FETCH):
            rows.append(row)
            if len(rows) == _FETCH:
                yield rows
                rows = []
    if rows:
        yield rows


def _received(positions: _Positions, from_ms: int) -> dict[str, datetime]:
    """Return between when the rows were received: constants, so that few partitions are planned for."""
    now = datetime.now(UTC)
    # No instant lies more than 5 min ahead of its receipt.
    instant = datetime.fromtimestamp(min(from_ms / 1000, now.timestamp()), UTC) - timedelta(minutes=10)
    return {"received_from": max(positions.received_at, instant), "received_to": now + timedelta(hours=1)}


def _positions(connection: Connection, site_id: int) -> _Positions | None:
    rows = connection.execute(_SQL["positions"], {"site": site_id}).fetchall()
    if not rows:
        return None
    satellites, after, seen, through_ms, received_at = ([row[at] for row in rows] for at in range(5))
    # The clocks of two gateways may differ, so that a later row was received a little earlier.
    return _Positions(satellites, after, seen, through_ms, min(received_at) - timedelta(hours=1))


class _Grid:
    """Blocks of the same series, each with a value of every series at every instant."""

    def __init__(self, series: I64, picked: I64) -> None:
        self.count = len(series)
        self.picked = picked  # the places of the series that are wanted
        self._wanted = series[picked]
        self._times: list[I64] = []
        self._values: list[F64 | I64] = []
        self._starts: list[I64 | None] = []

    def add(self, instants: I64, values: F64 | I64, starts: I64 | None, hot: slice) -> None:
        """Add a block's samples at the hot ones of its instants."""
        of_wanted = values.reshape(self.count, len(instants))[self.picked]
        self._times.append(instants[hot])
        self._values.append(of_wanted[:, hot])
        self._starts.append(None if starts is None else starts[self.picked])

    def stretches(self) -> Iterator[Stretch]:
        if not self._times:
            return
        times = np.concatenate(self._times)
        values = np.concatenate(self._values, axis=1)
        starts = self._began() if any(one is not None for one in self._starts) else None
        if not (times[1:] > times[:-1]).all():
            order = np.argsort(times, kind="stable")
            times, values = times[order], values[:, order]
            starts = None if starts is None else starts[:, order]
        for at, series in enumerate(self._wanted.tolist()):
            yield Stretch(series, times, values[at], None if starts is None else starts[at])

    def _began(self) -> I64:
        unknown = np.zeros(len(self.picked), np.int64)
        columns = [unknown if one is None else one for one in self._starts]
        return np.repeat(np.stack(columns, axis=1), [len(times) for times in self._times], axis=1)


class _Gathered:
    """Blocks decoded so far, of the series that are wanted."""

    def __init__(self, wanted: Sequence[Series], from_ms: int, to_ms: int, budget: Budget) -> None:
        self._wanted = np.unique(np.array([one.series_id for one in wanted], dtype=np.int64))
        self._span = (from_ms, to_ms)
        self._budget = budget
        self._single: list[Stretch] = []
        # Neighbouring cycles have the same series: their column is decoded, matched and spread once.
        self._grids: dict[tuple[int, int, bytes], _Grid] = {}
        self._instants: tuple[bytes, I64] = (b"", np.empty(0, dtype=np.int64))
        self._starts: tuple[tuple[int, int, bytes], I64] = ((0, 0, b""), np.empty(0, dtype=np.int64))

    def add(self, rows: Sequence[_Block]) -> None:
        for hot_from, times, stored in rows:
            self._add_block(max(hot_from, self._span[0]), times, stored)

    def stretches(self) -> Iterator[Stretch]:
        for grid in self._grids.values():
            yield from grid.stretches()
        yield from self._single

    def _add_block(self, from_ms: int, times: bytes, stored: bytes) -> None:
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
        count = samples_of(block, len(instants))
        self._budget.spend(count, len(grid.picked) * (count // grid.count))
        values = decode_values(block.values, count)
        starts = self._starts_of(block) if block.HasField("starts") else None
        if block.scope == pb.TIME_SCOPE_BATCH:
            first, last = np.searchsorted(instants, [from_ms, self._span[1]]).tolist()
            if first < last:
                grid.add(instants, values, starts, slice(first, last))
        else:
            self._add_single(block, grid, instants, values, starts, from_ms)

    def _add_single(
        self, block: pb.Block, grid: _Grid, instants: I64, values: F64 | I64, starts: I64 | None, from_ms: int
    ) -> None:
        """Add samples that have times of their own, series by series."""
        series, times = spread(block, decode_i64(block.series, block.series.count), instants)
        series, times, values = series[grid.picked], times[grid.picked], values[grid.picked]
        began = None if starts is None else starts[grid.picked]
        within = np.flatnonzero((times >= from_ms) & (times < self._span[1]))
        order = within[np.lexsort((times[within], series[within]))]
        if not len(order):
            return
        edges = np.flatnonzero(np.append(True, series[order][1:] != series[order][:-1]))
        for part in np.split(order, edges[1:]):
            self._single.append(
                Stretch(int(series[part[0]]), times[part], values[part], None if began is None else began[part])
            )

    def _starts_of(self, block: pb.Block) -> I64:
        key = (block.starts.encoding, block.series.count, block.starts.data)
        if key != self._starts[0]:
            self._starts = key, decode_i64(block.starts, block.series.count)
        return self._starts[1]

    def _grid_of(self, column: pb.Column) -> _Grid:
        key = (column.encoding, column.count, column.data)
        known = self._grids.get(key)
        if known is None:
            series = decode_i64(column, column.count)
            picked = np.flatnonzero(np.isin(series, self._wanted))
            known = self._grids[key] = _Grid(series, picked)
        return known
