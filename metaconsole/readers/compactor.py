"""The reader that rewrites the log into parts: hours of series, each once its hour is over.

The one promise: a sample is in a part exactly when the position and its state (store/compaction.py) say that it is not
in the log any more, whatever is killed; memory holds one unit of work at a time.

A step takes what is new. When an hour has ended since the last step, all samples before that boundary become parts, and
the rows that also hold later ones stay before the position. Else it waits, unless late samples (backfill) pile up.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from metaconsole.readers.blocks import runs_of
from metaconsole.readers.hours import HourPacker
from metaconsole.store import compaction
from metaconsole.store.compaction import Row, State
from metaconsole.store.database import AsyncConnection, connected, transaction
from metaconsole.store.frames import LogKind
from metaconsole.store.partitions import ensure_day_partitions, lack_day_partitions
from metaconsole.store.pieces import DAY_MS, HOUR_MS
from metaconsole.store.positions import Position, advance, enter, hole
from metaconsole.store.series import register_metrics
from shared.catalogue import catalogue
from shared.columns import I64

LOOK_SECONDS: Final = 5.0
GRACE_MS: Final = 60_000  # after an hour's end, for what is under way
ROWS: Final = 20_000  # new rows looked at in one step
LATE_ROWS: Final = 1_000  # new rows after which late samples are counted
LATE_SAMPLES: Final = 20_000_000  # of them become parts before their hour's turn
UNIT_SAMPLES: Final = 4_000_000  # decoded at once


@dataclass(frozen=True, slots=True)
class _Step:
    """What to do: rows in order of their ordinals, the boundary, and the state afterwards."""

    rows: Sequence[Row]
    old: State
    new: State

    def wanted(self, row: Row) -> bool:
        """Return whether a row has samples for this step."""
        return row.kind is LogKind.BATCH and row.first_ms < self.new.through_ms and self._begin(row) <= row.last_ms

    def keep(self, row: Row, times: I64) -> I64:
        """Return the places of the instants whose samples are this step's."""
        return np.flatnonzero((times >= self._begin(row)) & (times < self.new.through_ms))

    def first_ms(self, row: Row) -> int:
        """Return before which instant none of a row's samples is this step's."""
        return max(row.first_ms, self._begin(row))

    def _begin(self, row: Row) -> int:
        return self.old.through_ms if row.ordinal <= self.old.seen else 0


class Compactor:
    """A reader of the log that passes an hour at a time."""

    name: Final = compaction.READER

    def __init__(self, url: str, now_ms: int | None = None) -> None:
        """Compact by the machine's clock, or as if that stood still."""
        self._url = url
        self._now_ms = now_ms
        self._kinds: Mapping[int, str] = {}

    async def prepare(self, connection: AsyncConnection) -> None:
        """Learn the metrics' ids."""
        ids = await register_metrics(connection, list(catalogue()))
        self._kinds = {metric_id: catalogue()[name].kind for name, metric_id in ids.items()}

    async def sites(self, connection: AsyncConnection) -> Sequence[int]:
        """Return the sites where an hour has ended, or much came late."""
        async with transaction(connection):
            await enter(connection, self.name)
            return await compaction.due(connection, self._boundary(), LATE_ROWS)

    async def read(self, connection: AsyncConnection, position: Position) -> int:
        """Do the next step of a satellite, if one is due."""
        old = await compaction.state(connection, position)
        if self._boundary() <= old.through_ms and await self._few_are_late(connection, position, old):
            return 0
        fresh = await compaction.new_rows(connection, position, old.seen, ROWS)
        for expected, row in enumerate(fresh, old.seen + 1):
            if row.ordinal != expected:
                raise hole(position, expected)
        if not fresh and old.seen < position.head:
            raise hole(position, old.seen + 1)
        new = _next_state(old, fresh, position.head, self._boundary())
        if new == old:
            return 0
        before = await compaction.held_rows(connection, position, old) if new.through_ms > old.through_ms else []
        rows = [*before, *(row for row in fresh if row.ordinal <= new.seen)]
        step = _Step(rows, old, new)
        await self._write(connection, position, step)
        kept = [row.ordinal for row in rows if row.kind is LogKind.BATCH and row.last_ms >= new.through_ms]
        if new.through_ms == old.through_ms and position.ordinal < old.seen:
            kept.append(position.ordinal + 1)  # what was held before is still held
        ordinal = min(kept, default=new.seen + 1) - 1
        received = await compaction.received_at(connection, position, ordinal)
        await advance(connection, self.name, position, ordinal, received)
        await compaction.settle(connection, position, new)
        return max(1, new.seen - old.seen)

    async def caught_up(self, connection: AsyncConnection) -> None:
        """Need nothing after the last row."""

    async def _few_are_late(self, connection: AsyncConnection, position: Position, old: State) -> bool:
        return await compaction.late_samples(connection, position, old) < LATE_SAMPLES

    async def _make_partitions(self, connection: AsyncConnection, days: Sequence[int]) -> None:
        """Make what is missing on a connection of its own: its locks must not last as long as a step.

        Each step asks, since the pieces of a merged day are dropped; until the step ends these days' stay.
        """
        while await lack_day_partitions(connection, days):
            async with connected(self._url, application="nephoscope partitions") as own:
                await ensure_day_partitions(own, days)

    def _boundary(self) -> int:
        now = time.time_ns() // 1_000_000 if self._now_ms is None else self._now_ms
        return (now - GRACE_MS) // HOUR_MS * HOUR_MS

    async def _write(self, connection: AsyncConnection, position: Position, step: _Step) -> None:
        wanted = [row for row in step.rows if step.wanted(row)]
        if not wanted:
            return
        days = sorted({day for row in wanted for day in _days(row, step.new.through_ms)})
        rounds = await compaction.touch_days(connection, position.site_id, days)
        await self._make_partitions(connection, days)
        for rows, metrics in _units(step, wanted):
            spans = [_span(row, metrics) for row in rows]
            data = await compaction.blocks(connection, position, rows, spans)
            hours = HourPacker()
            for metric_id, runs in runs_of(rows, data, metrics, step.keep):
                hours.add(runs, self._kinds.get(metric_id, "gauge"), rows[-1].interval_ms)
            await compaction.write_parts(connection, position.site_id, rounds, *hours.packed())


def _next_state(old: State, fresh: Sequence[Row], head: int, boundary: int) -> State:
    """Return the state after the step that is due; the old one when none is."""
    late = 0
    for row in fresh:
        if row.kind is LogKind.BATCH and row.first_ms < old.through_ms:
            late += row.samples
            if late >= LATE_SAMPLES:
                return State(old.through_ms, row.ordinal)
    seen = fresh[-1].ordinal if fresh else old.seen
    if seen < head:
        # A backlog: through the newest hour that these rows have left behind.
        newest = max((row.last_ms for row in fresh if row.kind is LogKind.BATCH), default=0)
        boundary = min(boundary, newest // HOUR_MS * HOUR_MS)
        return State(max(boundary, old.through_ms), seen)
    return State(boundary, seen) if boundary > old.through_ms else old


def _days(row: Row, through_ms: int) -> range:
    return range(row.first_ms // DAY_MS, (min(row.last_ms, through_ms - 1)) // DAY_MS + 1)


def _units(step: _Step, rows: Sequence[Row]) -> Iterator[tuple[list[Row], frozenset[int]]]:
    """Yield work that fits into memory: hours of a source's plan, and where one is too much, a few metrics of it."""
    by_plan: dict[tuple[int | None, int], dict[int, list[Row]]] = {}
    for row in rows:
        plan = by_plan.setdefault((row.source_id, row.interval_ms), {})
        plan.setdefault(step.first_ms(row) // HOUR_MS, []).append(row)
    for hours in by_plan.values():
        unit: list[Row] = []
        samples = 0
        for hour in sorted(hours):
            more = sum(row.samples for row in hours[hour])
            if unit and samples + more > UNIT_SAMPLES:
                yield from _split(unit, samples)
                unit, samples = [], 0
            unit += hours[hour]
            samples += more
        yield from _split(unit, samples)


def _split(rows: list[Row], samples: int) -> Iterator[tuple[list[Row], frozenset[int]]]:
    metrics = list(dict.fromkeys(metric for row in rows for metric in row.metrics))
    at_once = max(1, len(metrics) * UNIT_SAMPLES // max(samples, 1))
    for begin in range(0, len(metrics), at_once):
        some = frozenset(metrics[begin : begin + at_once])
        yield [row for row in rows if not some.isdisjoint(row.metrics)], some


def _span(row: Row, metrics: frozenset[int]) -> tuple[int, int]:
    places = [place for place, metric in enumerate(row.metrics) if metric in metrics]
    return row.offsets[places[0]], row.offsets[places[-1] + 1]
