"""The same question has the same answer before, while and after its samples become parts, chunks and rollups.

Whatever the query returns is compared with a reference of dicts and loops that knows the samples and nothing else.
"""

import asyncio
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import uuid4

import numpy as np
import pytest
from fixtures.compacted import Feed, block
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metaconsole.readers.base import ReaderLoop
from metaconsole.readers.compactor import Compactor
from metaconsole.readers.merger import Merger
from metaconsole.store import dictionary, pool, query
from metaconsole.store.database import AsyncConnection, connect, connected
from metaconsole.store.dictionary import Series
from metaconsole.store.downsample import Aggregate, Span
from metaconsole.store.scope import EVERYTHING, Scope
from metaconsole.store.sites import ensure_satellite, ensure_site
from shared.pb import telemetry_pb2 as pb

HOUR = 3_600_000
DAY = 24 * HOUR
START = 20_000 * DAY  # a midnight UTC
GUESTS = 3
GAUGE, WHOLE, COUNTER, STATE = "system.cpu.utilization", "system.memory.usage", "system.cpu.time", "resource.state"
METRICS = (GAUGE, WHOLE, COUNTER, STATE)
Known: TypeAlias = dict[int, dict[int, tuple[float, int]]]  # by series and time: value, when the counter began


@dataclass(frozen=True)
class Batch:
    """A few cycles of a satellite from a minute on."""

    satellite: int
    minute: int
    cycles: int
    seconds: int  # between two cycles
    metric: str
    guests: tuple[int, ...]
    scope: int


@dataclass(frozen=True)
class Compact:
    hour: int


@dataclass(frozen=True)
class Merge:
    day: int


_BATCHES = st.builds(
    Batch,
    st.integers(0, 1),
    st.integers(0, 3 * 24 * 60 - 1) | st.integers(0, 47).map(lambda half: half * 30),
    st.integers(1, 8),
    st.sampled_from([10, 60, 600, 3600]),
    st.sampled_from(METRICS),
    st.sets(st.integers(0, GUESTS - 1), min_size=1).map(lambda chosen: tuple(sorted(chosen))),
    st.sampled_from([pb.TIME_SCOPE_BATCH, pb.TIME_SCOPE_BATCH, pb.TIME_SCOPE_RESOURCE, pb.TIME_SCOPE_SAMPLE]),
)
_SOME = st.lists(_BATCHES, min_size=2, max_size=8)
_COMPACT = st.builds(Compact, st.integers(1, 80))
_MERGE = st.builds(Merge, st.integers(1, 5))
# Mostly what is usual: batches, parts, chunks, and then something late for a day that is merged.
_ROUND = st.tuples(_SOME, _COMPACT, _MERGE) | st.tuples(_SOME, _COMPACT) | st.tuples(_SOME)
_HISTORIES = st.lists(_ROUND, min_size=1, max_size=4).map(lambda rounds: [step for one in rounds for step in one])
_STEPS = st.sampled_from([HOUR, 6 * HOUR, DAY, 3 * DAY, 90_000, 7 * 60_000])
_QUESTIONS = st.lists(
    st.tuples(
        st.sampled_from(["avg", "min", "max", "last", "sum", "rate", "increase"]),
        _STEPS,
        st.sampled_from([0, 1, 24]) | st.integers(-2, 70),  # from, in hours
        st.integers(1, 80),  # how many hours
        st.sampled_from([0, 0, 1, 25 * 60_000]),  # and how much the range is off the hour
    ),
    min_size=2,
    max_size=4,
)


class World:
    """A site of its own for each history, and what its samples are."""

    def __init__(self, url: str, seed: int) -> None:
        self.url = url
        self.known: Known = {}
        self._random = random.Random(seed)
        with connect(url) as connection:
            self.site_id = ensure_site(connection, f"site-{uuid4().hex}")
            satellites = [ensure_satellite(connection, self.site_id, f"satellite-{n}") for n in range(2)]
        self.feeds = [Feed(self.site_id, satellite) for satellite in satellites]

    async def open(self, connection: AsyncConnection) -> None:
        for feed in self.feeds:  # twins: they poll the same source
            await feed.open(connection, "source", METRICS, GUESTS)

    def series(self) -> list[Series]:
        with connect(self.url) as connection:
            found = connection.execute(
                "SELECT DISTINCT resource_id::text FROM series WHERE site_id = %s", (self.site_id,)
            ).fetchall()
            return dictionary.series_of(connection, EVERYTHING, [resource for (resource,) in found])

    async def append(self, connection: AsyncConnection, batches: Sequence[Batch]) -> None:
        frames = []
        for batch in batches:
            feed = self.feeds[batch.satellite]
            for cycle in range(batch.cycles):
                at = START + batch.minute * 60_000 + cycle * batch.seconds * 1000
                instants = [at] if batch.seconds > 10 else [at, at + 3_000]
                frames.append(feed.frame(instants, [self._block(feed, batch, instants)]))
        await feed.append(connection, frames)

    def _block(self, feed: Feed, batch: Batch, instants: Sequence[int]) -> pb.Block:
        ids = [feed.series[batch.metric, guest] for guest in batch.guests]
        if batch.scope == pb.TIME_SCOPE_BATCH:
            places = [(one, at) for one in ids for at in instants]
            times = None
            heads = [(guest, instants[0]) for guest in batch.guests]
        elif batch.scope == pb.TIME_SCOPE_RESOURCE:
            times = [self._random.randrange(len(instants)) for _ in ids]
            places = [(one, instants[index]) for one, index in zip(ids, times, strict=True)]
            heads = [(guest, at) for guest, (_, at) in zip(batch.guests, places, strict=True)]
        else:
            ids = ids + ids[:1]
            times = [self._random.randrange(0, 9_000) for _ in ids]
            places = [(one, instants[0] + delta) for one, delta in zip(ids, times, strict=True)]
            heads = [(guest, at) for guest, (_, at) in zip([*batch.guests, batch.guests[0]], places, strict=True)]
        values = [float(self._random.choice([0, 1, self._random.randrange(1, 100)])) for _ in places]
        starts = [began(guest, at) for guest, at in heads] if batch.metric == COUNTER else None
        per = len(instants) if batch.scope == pb.TIME_SCOPE_BATCH else 1
        for place, ((series, at), value) in enumerate(zip(places, values, strict=True)):
            begin = starts[place // per] if starts else 0
            kept = self.known.setdefault(series, {}).get(at)
            if kept is None or value > kept[0]:
                self.known[series][at] = (value, begin)
        return block(batch.metric, ids, values, times, scope=batch.scope, starts=starts)

    def forget(self) -> None:
        """Leave nothing that the next history's compactor would look at."""
        with connect(self.url) as connection:
            connection.execute("DELETE FROM satellite WHERE site_id = %s", (self.site_id,))
            connection.execute("DELETE FROM part_day WHERE site_id = %s", (self.site_id,))


def began(guest: int, at: int) -> int:
    """Return when the counter of a guest began: of the first nobody knows, the others start anew at some full hours."""
    return 0 if guest == 0 else at // (guest * 5 * HOUR) * (guest * 5 * HOUR)


async def compact(connection: AsyncConnection, url: str, now_ms: int) -> None:
    reader = Compactor(url, now_ms)
    await reader.prepare(connection)
    loop = ReaderLoop(url, reader)
    while await loop.look(connection):
        pass


def reference(samples: dict[int, tuple[float, int]], span: Span, start: int) -> float | None:
    """Return what the definition of a step says, sample by sample."""
    end = min(start + span.step_ms, span.to_ms)
    if span.aggregate not in ("rate", "increase"):
        values = [samples[at][0] for at in sorted(samples) if start <= at < end]
        if not values:
            return None
        made = {"avg": math.fsum(values) / len(values), "min": min(values), "max": max(values)}
        return (made | {"last": values[-1], "sum": math.fsum(values)})[span.aggregate]
    rise, covered, before = 0.0, 0, None
    for at in sorted(samples):
        if at < span.from_ms - max(span.step_ms, 60_000) or at >= end:
            continue
        value, start_ms = samples[at]
        if before is not None and at >= start:
            at_before, value_before = before
            if start_ms > at_before:
                rise, covered = rise + value, covered + at - at_before
            elif value >= value_before:
                rise, covered = rise + value - value_before, covered + at - at_before
        before = (at, value)
    if not covered:
        return None
    return rise / (covered / 1000) if span.aggregate == "rate" else rise


def check(world: World, database: pool.Database, questions: Sequence[tuple[Aggregate, int, int, int, int]]) -> None:
    """Ask everything, and compare."""
    series = world.series()
    for aggregate, step, begin, hours, off in questions:
        counting = aggregate in ("rate", "increase")
        from_ms = START + begin * HOUR + (off if step < HOUR else 0)
        to_ms = from_ms + min(hours * HOUR, 3_000 * step) + off
        span = Span(from_ms, to_ms, step, aggregate)
        wanted = [one for one in series if not counting or one.metric == COUNTER]
        with database.read() as connection:
            columns = query.read(connection, EVERYTHING, wanted, from_ms, to_ms)
            table = query.read_steps(connection, EVERYTHING, wanted, span)
        expected = {
            (one, at): sample
            for one in sorted({each.series_id for each in wanted} & world.known.keys())
            for at, sample in sorted(world.known[one].items())
            if from_ms <= at < to_ms
        }
        assert list(zip(columns.series.tolist(), columns.times.tolist(), strict=True)) == list(expected)
        assert columns.values.tolist() == [value for value, _ in expected.values()]
        starts = np.zeros(len(columns), np.int64) if columns.starts is None else columns.starts
        assert starts.tolist() == [start for _, start in expected.values()]
        for one, row in zip(wanted, table.tolist(), strict=True):
            for start, value in zip(span.starts.tolist(), row, strict=True):
                told = reference(world.known.get(one.series_id, {}), span, start)
                where = f"{aggregate} of {one.metric} at {start - START} by {step}"
                assert math.isnan(value) if told is None else value == pytest.approx(told, rel=1e-9, abs=1e-9), where


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_HISTORIES, _QUESTIONS, st.integers(0, 2**32))
def test_answers_do_not_depend_on_where_samples_are(
    database_url: str,
    history: list[list[Batch] | Compact | Merge],
    questions: list[tuple[Aggregate, int, int, int, int]],
    seed: int,
) -> None:
    world, database = World(database_url, seed), pool.Database(database_url, size=1)

    async def scenario() -> None:
        async with connected(database_url, application="test") as connection:
            await world.open(connection)
            for step in history:
                if isinstance(step, Compact):
                    await compact(connection, database_url, START + step.hour * HOUR)
                elif isinstance(step, Merge):
                    await Merger(database_url, quiet_seconds=0, now_ms=START + step.day * DAY).look(connection)
                else:
                    await world.append(connection, step)
                check(world, database, questions)
            await compact(connection, database_url, START + 20 * DAY)
            check(world, database, questions)
            await Merger(database_url, quiet_seconds=0, now_ms=START + 20 * DAY).look(connection)
            check(world, database, questions)

    try:
        asyncio.run(scenario())
    finally:
        database.close()
        world.forget()


def test_a_question_sees_one_moment_and_only_its_scope(database_url: str) -> None:
    world, database = World(database_url, 1), pool.Database(database_url, size=1)
    batches = [
        Batch(0, 10 * hour, 6, 60, metric, (0, 1, 2), pb.TIME_SCOPE_BATCH) for hour in range(9) for metric in METRICS
    ]
    span = Span(START, START + DAY, HOUR, "last")

    async def scenario() -> None:
        async with connected(database_url, application="test") as connection:
            await world.open(connection)
            await world.append(connection, batches)
            series = world.series()
            with database.read() as reading:
                before = query.read(reading, EVERYTHING, series, span.from_ms, span.to_ms)
                await compact(connection, database_url, START + 10 * DAY)
                await Merger(database_url, quiet_seconds=0, now_ms=START + 10 * DAY).look(connection)
                after = query.read(reading, EVERYTHING, series, span.from_ms, span.to_ms)
                steps = query.read_steps(reading, EVERYTHING, series, span)
                moved = reading.execute("SELECT count(*) FROM chunk WHERE site_id = %s", (world.site_id,)).fetchone()
            assert moved == (0,), "the transaction sees a later moment"
            assert (
                before.values.tolist()
                == after.values.tolist()
                == [value for one in sorted(world.known) for _, (value, _) in sorted(world.known[one].items())]
            )
            with database.read() as reading:
                assert np.array_equal(query.read_steps(reading, EVERYTHING, series, span), steps, equal_nan=True)
                elsewhere = Scope(frozenset({world.site_id + 1}))
                assert len(query.read(reading, elsewhere, series, span.from_ms, span.to_ms)) == 0
                assert np.isnan(query.read_steps(reading, elsewhere, series, span)).all()

    try:
        asyncio.run(scenario())
    finally:
        database.close()
