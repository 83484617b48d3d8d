"""From a question to columns: which series, their samples, and the steps of a graph.

The one promise: an answer stays within the limits of metaconsole.store.query, or says what to ask instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from metaconsole.store import overview, query
from metaconsole.store.database import Connection
from metaconsole.store.downsample import Aggregate, downsample, grid, rates
from metaconsole.store.query import Columns, QueryTooLargeError, Series
from metaconsole.store.resources import NotFoundError
from metaconsole.store.scope import Scope
from metaconsole.web.offload import offload
from metaconsole.web.services import services
from shared.catalogue import catalogue
from shared.columns import F64, I64

STEPS: Final = 2_000  # points of a series in one answer
_RANKED: Final = 50_000  # series among which the live view picks the top
_RANKED_BY_RANGE: Final = 5_000  # series that are read to be ranked over a range
_LOOKBACK_MS: Final = 60_000  # a rate's first step wants the sample before it


@dataclass(frozen=True, slots=True)
class Range:
    """From when to when (excluded), in UTC milliseconds, in steps of how many (None: samples as they are)."""

    from_ms: int
    to_ms: int
    step_ms: int | None
    aggregate: Aggregate


@dataclass(frozen=True, slots=True)
class Top:
    """The n resources of a kind, of a site or of all, with the highest values of a metric."""

    kind: str
    site: str | None
    metric: str
    count: int


def answer(
    connection: Connection, scope: Scope, named: Sequence[tuple[str, str]], tops: Sequence[Top], span: Range
) -> list[dict[str, Any]]:
    """Return the series asked for, by (resource, metric) and by rank; raises NotFoundError, QueryTooLargeError."""
    if span.step_ms is not None and (span.to_ms - span.from_ms) / span.step_ms > STEPS:
        raise QueryTooLargeError(f"the range holds more than {STEPS} steps; give a longer step")
    wanted = _named(connection, scope, named)
    for top in tops:
        wanted += _top(connection, scope, top, span)
    distinct = list({one.series_id: one for one in wanted}.values())
    if len(distinct) > query.SERIES:
        raise QueryTooLargeError(f"{len(distinct)} series match, an answer holds {query.SERIES}; select fewer")
    columns = _read(connection, scope, distinct, span)
    items: list[dict[str, Any]] = offload(lambda: [_item(one, columns, span) for one in distinct])
    return items


def _named(connection: Connection, scope: Scope, named: Sequence[tuple[str, str]]) -> list[Series]:
    if not named:
        return []
    ids = sorted({resource for resource, _ in named})
    for missing in set(ids) - query.visible(connection, scope, ids):
        raise NotFoundError(missing)
    found = query.series_of(connection, scope, ids, sorted({metric for _, metric in named}), query.SERIES * 10)
    pairs = set(named)
    return [one for one in found if (one.resource_id, one.metric) in pairs]


def _top(connection: Connection, scope: Scope, top: Top, span: Range) -> list[Series]:
    over_range = span.step_ms is not None
    limit = _RANKED_BY_RANGE if over_range else _RANKED
    candidates = query.series_of_kind(connection, scope, top.kind, top.site, top.metric, limit)
    if over_range:
        columns = _read(connection, scope, candidates, span)
        ranks: F64 = offload(lambda: _means(candidates, columns, span))
    else:
        newest = services().live.of(np.array([one.series_id for one in candidates], dtype=np.int64))
        ranks = np.where(newest.fresh(overview.now_ms(connection)), newest.values, np.nan)
    order = np.argsort(-ranks, kind="stable")  # NaN, the unknown, sorts last
    return [candidates[index] for index in order[: top.count] if not np.isnan(ranks[index])]


def _read(connection: Connection, scope: Scope, wanted: Sequence[Series], span: Range) -> Columns:
    earlier = max(span.step_ms or 0, _LOOKBACK_MS) if span.aggregate == "rate" else 0
    return query.read(connection, scope, wanted, max(0, span.from_ms - earlier), span.to_ms, offload)


def _means(candidates: Sequence[Series], columns: Columns, span: Range) -> F64:
    means = np.full(len(candidates), np.nan)
    for index, one in enumerate(candidates):
        values = _points(one, columns, span)[1]
        if not np.isnan(values).all():
            means[index] = np.nanmean(values)
    return means


def _points(one: Series, columns: Columns, span: Range) -> tuple[I64, F64]:
    times, values = columns.of(one.series_id)
    if span.step_ms is not None:
        steps = grid(span.from_ms, span.to_ms, span.step_ms)
        return steps, downsample(times, values, steps, span.step_ms, span.aggregate)
    if span.aggregate == "rate":
        times, values = rates(times, values)
        within = times >= span.from_ms
        return times[within], values[within]
    return times, values


def _item(one: Series, columns: Columns, span: Range) -> dict[str, Any]:
    times, values = _points(one, columns, span)
    metric = catalogue().get(one.metric)
    unit = metric.unit if metric else ""
    return {
        "id": str(one.series_id),
        "resource": one.resource_id,
        "metric": one.metric,
        "unit": f"{unit}/s" if span.aggregate == "rate" else unit,
        "attributes": one.attributes,
        "times": times.tolist(),
        "values": [None if value != value else value for value in values.tolist()],  # NaN
    }
