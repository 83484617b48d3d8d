"""Samples and their aggregates to steps: what a graph shows, one value per step, NaN where nothing was seen.

The one promise: a step's value depends on the samples of its series and on nothing else, neither order nor where they
were stored. A step holds the samples from its start to the next one's, end excluded; a counter's increase from the
sample before counts in the step of the later one, so that steps add up.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

import numpy as np

from metaconsole.store import aggregates
from metaconsole.store.aggregates import Aggregates
from metaconsole.store.runs import Run
from metaconsole.store.samples import Columns, Stretch, aligned
from metaconsole.store.samples import join as join_samples
from shared.columns import F64, I64

Aggregate: TypeAlias = Literal["avg", "min", "max", "last", "sum", "rate", "increase"]
AGGREGATES: Final[tuple[str, ...]] = get_args(Aggregate)
OF_COUNTERS: Final = frozenset({"rate", "increase"})
_REDUCED: Final[dict[Aggregate, frozenset[str]]] = {  # what has to be reduced from all samples of a step
    "avg": frozenset({"sum"}),
    "sum": frozenset({"sum"}),
    "min": frozenset({"min"}),
    "max": frozenset({"max"}),
}
LOOKBACK_MS: Final = 60_000  # at least this long before the first step the sample before is looked for


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when (excluded), in UTC milliseconds, in steps of how many, and what of each step."""

    from_ms: int
    to_ms: int
    step_ms: int
    aggregate: Aggregate

    @property
    def begin_ms(self) -> int:
        """From when on samples tell of the steps: an increase begins at the sample before."""
        if self.aggregate not in OF_COUNTERS:
            return self.from_ms
        return max(0, self.from_ms - max(self.step_ms, LOOKBACK_MS))

    @property
    def starts(self) -> I64:
        """The starts of the steps."""
        return np.arange(self.from_ms, self.to_ms, self.step_ms, dtype=np.int64)

    def step_of(self, times: I64) -> I64:
        """Return the number of the step of each time; what lies before the first is -1."""
        return np.maximum((times - self.from_ms) // self.step_ms, -1)


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """Aggregates of spans of series, each within one step; of each series together and in order of time."""

    series: I64
    steps: I64
    parts: Aggregates


def of_columns(columns: Columns, span: Span, cut_ms: int | None = None) -> Entries:
    """Aggregate samples: an entry per series and step, and per cut_ms where other entries may lie between."""
    steps = span.step_of(columns.times)
    cuts = () if cut_ms is None else (columns.times // cut_ms,)
    groups = _groups(columns.series, steps, *cuts)
    counter = span.aggregate in OF_COUNTERS
    parts = aggregates.of_samples(columns.times, columns.values, columns.starts, groups, counter=counter)
    return Entries(columns.series[groups], steps[groups], parts)


def of_stretches(found: Iterable[Stretch], span: Span, cut_ms: int | None = None) -> Entries:
    """Aggregate as of_columns does; what lies on the same instants, as most series of a source do, at once."""
    runs, rest = aligned(found)
    some = [_of_run(one, span, cut_ms) for one in runs]
    if rest or not some:
        some.append(of_columns(join_samples(rest), span, cut_ms))
    return some[0] if len(some) == 1 else _concatenated(some)


def _of_run(run: Run, span: Span, cut_ms: int | None) -> Entries:
    steps = span.step_of(run.times)
    cuts = () if cut_ms is None else (run.times // cut_ms,)
    groups = _groups(steps, *cuts)
    counter = span.aggregate in OF_COUNTERS
    parts = aggregates.of_matrix(
        run.times, run.values, run.starts, groups, counter=counter, only=_REDUCED.get(span.aggregate, frozenset())
    )
    return Entries(np.repeat(run.series, len(groups)), np.tile(steps[groups], len(run.series)), parts)


def _concatenated(some: Sequence[Entries]) -> Entries:
    return Entries(
        np.concatenate([one.series for one in some]),
        np.concatenate([one.steps for one in some]),
        aggregates.concatenate([one.parts for one in some]),
    )


def join(some: Sequence[Entries]) -> Entries:
    """Return one entry per series and step."""
    filled = [one for one in some if len(one.series)]
    if len(filled) < 2 and not (filled and _is_split(filled[0])):
        return filled[0] if filled else some[0]
    whole = _concatenated(filled)
    order = np.lexsort((whole.parts.first_ms, whole.series))
    series, steps = whole.series[order], whole.steps[order]
    groups = _groups(series, steps)
    return Entries(series[groups], steps[groups], aggregates.combine(whole.parts.take(order), groups))


def values(entries: Entries, series: I64, span: Span) -> F64:
    """Return a row per series asked for (ascending) with a value per step; entries holds one per series and step."""
    table = np.full((len(series), len(span.starts)), np.nan)
    found, seen = _of(entries, span.aggregate), entries.steps >= 0
    rows = np.searchsorted(series, entries.series[seen])
    table[rows, entries.steps[seen]] = found[seen]
    return table


def rates(times: I64, values: F64, starts: I64 | None, aggregate: Aggregate) -> tuple[I64, F64]:
    """Return what a counter did since the sample before, at each sample but the first; NaN where nobody knows."""
    began = np.zeros(len(times), np.int64) if starts is None else starts
    between = aggregates.steps(times[:-1], values[:-1], times[1:], values[1:], began[1:])
    return times[1:], _increase(between.increase, between.covered_ms, aggregate)


def _of(entries: Entries, aggregate: Aggregate) -> F64:
    parts = entries.parts
    if aggregate in OF_COUNTERS:
        between = aggregates.steps(
            parts.last_ms[:-1], parts.last[:-1], parts.first_ms[1:], parts.first[1:], parts.start_ms[1:]
        )
        same = entries.series[1:] == entries.series[:-1]
        increase, covered = parts.increase.copy(), parts.covered_ms.copy()
        increase[1:][same] += between.increase[same]
        covered[1:][same] += between.covered_ms[same]
        return _increase(increase, covered, aggregate)
    if aggregate == "avg":
        mean: F64 = parts.sum / parts.samples
        return mean
    chosen: F64 = getattr(parts, aggregate)
    return chosen


def _increase(increase: F64, covered_ms: I64, aggregate: Aggregate) -> F64:
    known = covered_ms > 0
    per = covered_ms / 1000.0 if aggregate == "rate" else np.ones(len(covered_ms))
    found: F64 = np.full(len(increase), np.nan)
    np.divide(increase, per, out=found, where=known)
    return found


def _groups(series: I64, *numbers: I64) -> I64:
    """Return where the next series begins, or any of the numbers of one changes."""
    if not len(series):
        return np.empty(0, np.int64)
    new = series[1:] != series[:-1]
    for number in numbers:
        new |= number[1:] != number[:-1]
    return np.concatenate([[0], np.flatnonzero(new) + 1]).astype(np.int64)


def _is_split(entries: Entries) -> bool:
    """Return whether a step of a series has more than one entry."""
    return len(_groups(entries.series, entries.steps)) < len(entries.series)
