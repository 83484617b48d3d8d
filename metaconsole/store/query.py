"""Questions about series over a range: their samples, or a value per step.

The one promise: an answer is the same whether its samples are in the log, in parts or in chunks, and while they move:
all of it is read in one snapshot, which the connection's transaction has to be (REPEATABLE READ).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final, TypeVar

import numpy as np

from metaconsole.store import downsample, rollups
from metaconsole.store.compacted import read_chunks, read_chunks_of, read_parts
from metaconsole.store.database import Connection
from metaconsole.store.dictionary import Series
from metaconsole.store.downsample import Entries, Span
from metaconsole.store.hot import Compute, read_hot
from metaconsole.store.pieces import DAY_MS
from metaconsole.store.samples import HELD, Budget, Columns, Stretch, empty, join
from metaconsole.store.scope import Scope
from shared.catalogue import MetricKind, catalogue
from shared.columns import F64, I64

SERIES: Final = 500  # in one answer
COMBINED: Final = 20_000  # series that are aggregated into one answer
_SLICE: Final = 500  # series whose samples are in memory at once

_T = TypeVar("_T")


def directly(work: Callable[[], _T]) -> _T:
    """Run array work right here."""
    return work()


def read(
    connection: Connection,
    scope: Scope,
    wanted: Sequence[Series],
    from_ms: int,
    to_ms: int,
    compute: Compute = directly,
) -> Columns:
    """Return the samples of the series with from_ms <= time < to_ms, in order of series and time.

    Raises QueryTooLargeError when they are too many, StoredFormatError and PieceError for an unknown format.
    """
    budget = Budget()
    found: list[Stretch] = []
    for site_id, of_site in _by_site(scope, wanted):
        ids = _ids(of_site)
        found += read_hot(connection, site_id, of_site, from_ms, to_ms, budget, compute)
        found += read_parts(connection, site_id, ids, from_ms, to_ms, budget, compute)
        found += read_chunks(connection, site_id, ids, from_ms, to_ms, budget, compute)
    columns: Columns = compute(lambda: join(found)) if found else empty()
    return columns


def read_steps(
    connection: Connection, scope: Scope, wanted: Sequence[Series], span: Span, compute: Compute = directly
) -> F64:
    """Return a row per series, in order, with a value per step of the span, NaN where nothing was seen.

    Raises as read does.
    """
    table = np.full((len(wanted), len(span.starts)), np.nan)
    rows = {one.series_id: row for row, one in enumerate(wanted)}
    budget = Budget(HELD)
    for site_id, of_site in _by_site(scope, wanted):
        for kind, alike in _by_kind(of_site):
            for ids, entries in _entries(connection, site_id, alike, kind, span, budget, compute):
                places = [rows[one] for one in ids]
                table[places] = compute(partial(downsample.values, entries, np.array(ids, np.int64), span))
    return table


def _entries(
    connection: Connection,
    site_id: int,
    wanted: Sequence[Series],
    kind: MetricKind,
    span: Span,
    budget: Budget,
    compute: Compute,
) -> Iterator[tuple[Sequence[int], Entries]]:
    """Yield slices of series with their entries, in ascending order."""
    ids = _ids(wanted)
    hot = read_hot(connection, site_id, wanted, span.begin_ms, span.to_ms, budget, compute)
    hot.sort(key=lambda one: one.series)
    by_rollups = rollups.answers(kind, span)
    at = 0
    for begin in range(0, len(ids), _SLICE):
        some = ids[begin : begin + _SLICE]
        end = at
        while end < len(hot) and hot[end].series <= some[-1]:
            end += 1
        found = hot[at:end] + read_parts(connection, site_id, some, span.begin_ms, span.to_ms, budget, compute)
        at = end
        if by_rollups:
            yield some, _with_rollups(connection, site_id, some, found, span, budget, compute)
        else:
            found += read_chunks(connection, site_id, some, span.begin_ms, span.to_ms, budget, compute)
            yield some, compute(partial(downsample.of_stretches, found, span))
        budget.release(sum(len(one.times) for one in found))


def _with_rollups(
    connection: Connection,
    site_id: int,
    ids: Sequence[int],
    found: list[Stretch],
    span: Span,
    budget: Budget,
    compute: Compute,
) -> Entries:
    """Return the entries of series whose samples in parts and log were found, and of their chunks."""
    stale: I64 = compute(lambda: _days_of(found))
    hours, wrong = rollups.read_rollups(connection, site_id, ids, span, stale)
    found += read_chunks_of(connection, site_id, wrong, span.begin_ms, span.to_ms, budget, compute)
    entries: Entries = compute(lambda: downsample.join([hours, downsample.of_stretches(found, span, DAY_MS)]))
    return entries


def _days_of(stretches: Iterable[Stretch]) -> I64:
    """Return the days of series that have samples outside chunks."""
    keys = [rollups.day_keys(one.series, np.unique(one.times // DAY_MS)) for one in stretches]
    return np.unique(np.concatenate(keys)) if keys else np.empty(0, np.int64)


def _by_site(scope: Scope, wanted: Sequence[Series]) -> Iterator[tuple[int, list[Series]]]:
    by_site: dict[int, list[Series]] = {}
    for one in wanted:
        if scope.allows(one.site_id):
            by_site.setdefault(one.site_id, []).append(one)
    yield from sorted(by_site.items())


def _by_kind(wanted: Sequence[Series]) -> Iterator[tuple[MetricKind, list[Series]]]:
    by_kind: dict[MetricKind, list[Series]] = {}
    for one in wanted:
        metric = catalogue().get(one.metric)
        by_kind.setdefault("gauge" if metric is None else metric.kind, []).append(one)
    yield from by_kind.items()


def _ids(wanted: Sequence[Series]) -> list[int]:
    return sorted({one.series_id for one in wanted})
