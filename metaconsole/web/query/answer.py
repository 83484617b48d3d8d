"""From a question to columns: which series, their samples, and the steps of a graph.

The one promise: an answer stays within the limits of metaconsole.store, or says what to ask instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from metaconsole.store import dictionary, overview, query
from metaconsole.store.database import Connection
from metaconsole.store.dictionary import Series
from metaconsole.store.downsample import LOOKBACK_MS, OF_COUNTERS, Aggregate, Span, rates
from metaconsole.store.resources import NotFoundError
from metaconsole.store.samples import SAMPLES, Columns, QueryTooLargeError
from metaconsole.store.scope import Scope
from metaconsole.web.live.latest import Latest
from metaconsole.web.offload import offload
from metaconsole.web.query.combine import Combination, combine
from metaconsole.web.services import services
from shared.columns import F64, I64

STEPS: Final = 10_000  # points of a series in one answer: a year of hours
VALUES: Final = 10_000_000  # series times steps that are combined into groups


@dataclass(frozen=True, slots=True)
class Range:
    """From when to when (excluded), in UTC milliseconds, in steps of how many (None: samples as they are)."""

    from_ms: int
    to_ms: int
    step_ms: int | None
    aggregate: Aggregate

    @property
    def span(self) -> Span | None:
        """The steps, if there are."""
        return None if self.step_ms is None else Span(self.from_ms, self.to_ms, self.step_ms, self.aggregate)


@dataclass(frozen=True, slots=True)
class Top:
    """The n resources of a kind, of a site or of all, with the highest values of a metric."""

    kind: str
    site: str | None
    metric: str
    count: int


@dataclass(frozen=True, slots=True)
class Groups:
    """The series of a metric, of resources of a kind or of all, of a site or of all, combined by labels."""

    kind: str | None
    site: str | None
    metric: str
    names: tuple[str, ...]
    how: Combination


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """The resources that agree in their labels: how many series they have, and a value per step."""

    metric: str
    how: Combination
    labels: dict[str, str]
    series: int
    times: I64
    values: F64


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """A series with its points, NaN where nothing was seen."""

    series: Series
    times: I64
    values: F64


def answer(
    connection: Connection, scope: Scope, named: Sequence[tuple[str, str]], tops: Sequence[Top], asked: Range
) -> list[Answered]:
    """Return the series asked for, by (resource, metric) and by rank; raises NotFoundError, QueryTooLargeError."""
    span = asked.span
    if span is not None:
        _check(span)
    wanted = _named(connection, scope, named)
    for top in tops:
        wanted += _newest(connection, scope, top) if span is None else _highest(connection, scope, top, span)
    distinct = list({one.series_id: one for one in wanted}.values())
    if len(distinct) > query.SERIES:
        raise QueryTooLargeError(f"{len(distinct)} series match, an answer holds {query.SERIES}; select fewer")
    if span is None:
        return _as_taken(connection, scope, distinct, asked)
    if len(distinct) * len(span.starts) > SAMPLES:
        raise QueryTooLargeError(f"the answer would hold more than {SAMPLES} values; give a longer step")
    table = query.read_steps(connection, scope, distinct, span, offload)
    return [Answered(one, span.starts, row) for one, row in zip(distinct, table, strict=True)]


def groups(connection: Connection, scope: Scope, asked: Groups, span: Span) -> list[Group]:
    """Return the groups in order of their labels; raises QueryTooLargeError."""
    _check(span)
    wanted, labels = dictionary.grouped_series(
        connection, scope, asked.kind, asked.site, asked.metric, asked.names, query.COMBINED
    )
    if not wanted:
        return []
    if len(wanted) * len(span.starts) > VALUES:
        raise QueryTooLargeError(
            f"{len(wanted)} series of {len(span.starts)} steps are more than {VALUES} values; give a longer step"
        )
    table = query.read_steps(connection, scope, wanted, span, offload)
    found, sizes, rows = offload(lambda: combine(table, labels, asked.how))
    if len(found) > query.SERIES:
        raise QueryTooLargeError(f"there are {len(found)} groups, an answer holds {query.SERIES}; group by less")
    return [
        Group(asked.metric, asked.how, dict(zip(asked.names, label, strict=True)), size, span.starts, row)
        for label, size, row in zip(found, sizes.tolist(), rows, strict=True)
    ]


def _check(span: Span) -> None:
    if (span.to_ms - span.from_ms) / span.step_ms > STEPS:
        raise QueryTooLargeError(f"the range holds more than {STEPS} steps; give a longer step")


def _named(connection: Connection, scope: Scope, named: Sequence[tuple[str, str]]) -> list[Series]:
    if not named:
        return []
    ids = sorted({resource for resource, _ in named})
    found = dictionary.series_of(connection, scope, ids, sorted({metric for _, metric in named}), query.SERIES * 10)
    without = sorted(set(ids) - {one.resource_id for one in found})
    if without and (missing := set(without) - dictionary.visible(connection, scope, without)):
        raise NotFoundError(min(missing))
    pairs = set(named)
    return [one for one in found if (one.resource_id, one.metric) in pairs]


def _newest(connection: Connection, scope: Scope, top: Top) -> list[Series]:
    """Return the series with the highest newest values that are fresh."""
    present, now = services(), overview.now_ms(connection)
    ids = present.directory.ids(connection, scope, top.kind, top.site, top.metric)
    places: I64 = offload(lambda: _top(present.live, ids.series, now, top.count))
    pairs = zip(ids.sites[places].tolist(), ids.series[places].tolist(), strict=True)
    return dictionary.series_by_id(connection, list(pairs))


def _top(live: Latest, series: I64, now_ms: int, count: int) -> I64:
    """Return the places of the highest values, highest first; what is not fresh has none."""
    newest = live.of(series)
    fresh = np.flatnonzero(newest.fresh(now_ms))
    values = newest.values[fresh]
    if len(values) > count:
        best = np.argpartition(values, len(values) - count)[-count:]
        # Of equal values the series that was first.
        best = np.flatnonzero(values >= values[best].min())
        fresh, values = fresh[best], values[best]
    return fresh[np.argsort(-values, kind="stable")[:count]]


def _highest(connection: Connection, scope: Scope, top: Top, span: Span) -> list[Series]:
    """Return the series with the highest means over the span."""
    candidates = dictionary.series_of_kind(connection, scope, top.kind, top.site, top.metric, query.COMBINED)
    if len(candidates) * len(span.starts) > VALUES:
        raise QueryTooLargeError(f"more than {VALUES} values would be ranked; name a site or give a longer step")
    table = query.read_steps(connection, scope, candidates, span, offload)
    ranks: F64 = offload(lambda: _means(table))
    order = np.argsort(-ranks, kind="stable")  # NaN, the unknown, sorts last
    return [candidates[index] for index in order[: top.count] if not np.isnan(ranks[index])]


def _means(table: F64) -> F64:
    """Return the mean of each row's values, NaN where it has none."""
    seen = ~np.isnan(table)
    count = seen.sum(axis=1)
    means: F64 = np.full(len(table), np.nan)
    np.divide(np.where(seen, table, 0.0).sum(axis=1), count, out=means, where=count > 0)
    return means


def _as_taken(connection: Connection, scope: Scope, wanted: Sequence[Series], asked: Range) -> list[Answered]:
    of_steps = asked.aggregate in OF_COUNTERS
    begin_ms = max(0, asked.from_ms - LOOKBACK_MS) if of_steps else asked.from_ms
    columns = query.read(connection, scope, wanted, begin_ms, asked.to_ms, offload)
    found: list[Answered] = offload(lambda: [_points(one, columns, asked, of_steps) for one in wanted])
    return found


def _points(one: Series, columns: Columns, asked: Range, of_steps: bool) -> Answered:
    times, values = columns.of(one.series_id)
    if not of_steps:
        return Answered(one, times, values)
    times, values = rates(times, values, columns.starts_of(one.series_id), asked.aggregate)
    within = times >= asked.from_ms
    return Answered(one, times[within], values[within])
