"""Rollups: the hourly aggregates of the days that chunks hold, as entries of steps.

The one promise: an hour is answered from here only where its day has neither parts nor hot samples; what a question
does not need of a rollup does not travel.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from metaconsole.store.aggregates import Aggregates, empty
from metaconsole.store.database import Connection
from metaconsole.store.downsample import Aggregate, Entries, Span
from metaconsole.store.pieces import DAY_MS, HOUR_MS
from metaconsole.store.sent import numbers
from metaconsole.store.sql import statements
from shared.catalogue import MetricKind
from shared.columns import I64

_SQL: Final = statements("query")
_HOURS: Final = DAY_MS // HOUR_MS
_HAS: Final[dict[MetricKind, frozenset[Aggregate]]] = {
    "gauge": frozenset({"avg", "min", "max", "last", "sum"}),
    "counter": frozenset({"rate", "increase", "last"}),
    "state": frozenset({"last"}),
}
# The columns of the table that an aggregate is made of, beside the number of samples.
_STEPS: Final = frozenset({"first_at", "last_at", "first", "last", "increase", "covered", "starts"})
_COLUMNS: Final[dict[Aggregate, frozenset[str]]] = {
    "avg": frozenset({"sum"}),
    "sum": frozenset({"sum"}),
    "min": frozenset({"min"}),
    "max": frozenset({"max"}),
    "last": frozenset({"last"}),
    "rate": _STEPS,
    "increase": _STEPS,
}
_NUMBERS: Final = {
    "samples": "int4",
    "first_at": "int4",
    "last_at": "int4",
    "first": "float8",
    "last": "float8",
    "min": "float8",
    "max": "float8",
    "sum": "float8",
    "increase": "float8",
    "covered": "int4",
    "starts": "int8",
}


def answers(kind: MetricKind, span: Span) -> bool:
    """Return whether the steps of a metric of this kind can be made of rollups."""
    return span.aggregate in _HAS[kind] and span.step_ms % HOUR_MS == 0 and span.from_ms % HOUR_MS == 0


def read_rollups(
    connection: Connection, site_id: int, series: Sequence[int], span: Span, stale: I64
) -> tuple[Entries, list[tuple[int, int]]]:
    """Return the hours of the days that are right, and the (series, day) that are not but have a rollup.

    stale names days that are not, as series * 2**20 + day; so is the last day where the span ends within an hour.
    """
    needed = _COLUMNS[span.aggregate]
    first_day, last_day = span.begin_ms // DAY_MS, (span.to_ms - 1) // DAY_MS
    values = {
        "site": site_id,
        "series": list(series),
        "first_day": first_day,
        "last_day": last_day,
        **{name: name in needed for name in _NUMBERS},
    }
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(_SQL["rollups"], values).fetchall()
    if not rows:
        return _empty(), []
    ids, days = np.array([row[0] for row in rows], np.int64), np.array([row[1] for row in rows], np.int64)
    wrong = np.isin(day_keys(ids, days), stale)
    if span.to_ms % HOUR_MS:
        wrong |= days == last_day
    right = [row for row, is_wrong in zip(rows, wrong.tolist(), strict=True) if not is_wrong]
    return (
        _entries(ids[~wrong], days[~wrong], right, needed, span),
        list(zip(ids[wrong].tolist(), days[wrong].tolist(), strict=True)),
    )


def day_keys(series: I64 | int, days: I64) -> I64:
    """Return one number per series and day."""
    return (series << 20) | days


def _entries(ids: I64, days: I64, rows: Sequence[Any], needed: frozenset[str], span: Span) -> Entries:
    table = {
        name: numbers([row[place] or b"" for row in rows], kind, _HOURS)
        if name == "samples" or name in needed
        else None
        for place, (name, kind) in enumerate(_NUMBERS.items(), 2)
    }
    hours = (days[:, None] * _HOURS + np.arange(_HOURS)).ravel() * HOUR_MS
    samples = table["samples"]
    assert samples is not None
    seen = np.flatnonzero((samples > 0) & (hours >= span.begin_ms) & (hours < span.to_ms))

    def column(name: str) -> Any:
        found = table[name]
        if found is not None:
            return found[seen]
        return np.zeros(len(seen), np.float64 if _NUMBERS[name] == "float8" else np.int64)

    begins = hours[seen]
    parts = Aggregates(
        samples=samples[seen],
        first_ms=begins + column("first_at"),
        first=column("first"),
        last_ms=begins + column("last_at"),
        last=column("last"),
        min=column("min"),
        max=column("max"),
        sum=column("sum"),
        start_ms=column("starts"),
        increase=column("increase"),
        covered_ms=column("covered"),
        resets=np.zeros(len(seen), np.int64),  # no step shows them
    )
    return Entries(np.repeat(ids, _HOURS)[seen], span.step_of(begins), parts)


def _empty() -> Entries:
    nothing = np.empty(0, np.int64)
    return Entries(nothing, nothing, empty())
