"""Hours of series become days: no sample is lost, doubled or changed, and the rollups are those of the samples."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from metaconsole.readers.days import days_of, rollup_of
from metaconsole.readers.hours import HourPacker
from metaconsole.store.aggregates import Aggregates
from metaconsole.store.merging import Chunks, Parts, Piece, Rollups
from metaconsole.store.pieces import DAY_MS, HOUR_MS, pack_rows, pack_times, unpack, unpack_times
from metaconsole.store.runs import Run, merge
from shared.columns import F64, I64

DAY = 20_000
BEGIN = DAY * DAY_MS
INTERVAL = 60_000
GAUGE, WHOLE, COUNTER, STATE = "system.cpu.utilization", "system.memory.usage", "system.disk.io", "resource.state"
KINDS = {GAUGE: "gauge", WHOLE: "gauge", COUNTER: "counter", STATE: "state"}
METRICS = {1: GAUGE, 2: GAUGE, 3: WHOLE, 4: WHOLE, 5: COUNTER, 6: STATE, 7: STATE}
Sample = tuple[int, int, float, int]


@st.composite
def series_of_a_day(draw: st.DrawFn) -> list[tuple[str, Run]]:
    """Draw runs of a few instants of the day, of series whose hours may overlap with another run's."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        minutes = np.array(sorted(draw(st.sets(st.integers(0, 1439), min_size=1, max_size=12))), np.int64)
        times = BEGIN + minutes * INTERVAL
        for metric in draw(st.sets(st.sampled_from(sorted(KINDS)), min_size=1)):
            series = np.array([one for one, name in METRICS.items() if name == metric], np.int64)
            shape = (len(series), len(times))
            random = np.random.default_rng(draw(st.integers(0, 2**32)))
            values: F64 | I64 = random.integers(0, 4, shape)
            if metric == GAUGE:
                values = random.random(shape).round(draw(st.sampled_from([0, 3, 17])))
            elif metric == WHOLE:
                values = 2**60 + random.integers(0, 1000, shape) * draw(st.sampled_from([1, 4096]))
            elif metric == COUNTER:
                values = np.cumsum(random.integers(0, 10**10, shape), axis=1)
            starts = np.full(shape, BEGIN + draw(st.sampled_from([-5, HOUR_MS]))) if metric == COUNTER else None
            found.append((metric, Run(series, times, values, starts)))
    return found


def parts_of(steps: Sequence[tuple[str, Run]]) -> Parts:
    """Return the parts that compaction steps of these runs write."""
    packer = HourPacker()
    for metric, run in steps:
        packer.add([run], KINDS[metric], INTERVAL)
    hours, grids = packer.packed()
    held = [None if one is None else {str(code): seconds for code, seconds in one.items()} for one in hours.held]
    times = {(hour, name): stored for hour, name, stored in grids}
    return Parts(hours.series, hours.hours, hours.intervals, hours.grids, hours.pieces, hours.aggregates, held, times)


def in_chunks(chunks: Sequence[Chunks]) -> list[Sample]:
    found = []
    for chunk in chunks:
        times = unpack_times(chunk.times, chunk.samples).tolist()
        for series, content in zip(chunk.series.tolist(), chunk.contents, strict=True):
            values, starts = unpack(content, chunk.samples)
            began = [0] * chunk.samples if starts is None else starts.tolist()
            found += [(series, *sample) for sample in zip(times, values.tolist(), began, strict=True)]
    return sorted(found)


def expected(steps: Sequence[tuple[str, Run]]) -> tuple[list[Sample], list[tuple[str, Run]]]:
    """Return every instant of a series with its larger value, and the runs of it."""
    samples, merged = [], []
    for metric in KINDS:
        for run in merge([run for name, run in steps if name == metric]):
            merged.append((metric, run))
            for row, series in enumerate(run.series.tolist()):
                began = [0] * len(run.times) if run.starts is None else run.starts[row].tolist()
                rows = zip(run.times.tolist(), run.values[row].tolist(), began, strict=True)
                samples += [(series, *sample) for sample in rows]
    return sorted(samples), merged


def told(rollups: Sequence[Rollups]) -> dict[tuple[int, int], tuple[object, ...]]:
    """Return what rollups tell of each series and hour."""
    found: dict[tuple[int, int], tuple[object, ...]] = {}
    for rollup in rollups:
        for hour, of in rollup.hours.items():
            for place, series in enumerate(rollup.series.tolist()):
                held = rollup.held[place]
                seconds = None if held is None else {code: all_day[hour % 24] for code, all_day in held.items()}
                assert (series, hour) not in found
                found[series, hour] = (*_numbers(of, place), {c: s for c, s in (seconds or {}).items() if s})
    return found


def _numbers(of: Aggregates, place: int) -> tuple[float, ...]:
    names = ("samples", "first_ms", "first", "last_ms", "last", "min", "max", "start_ms", "covered_ms", "resets")
    rounded = (round(float(of.sum[place]), 6), round(float(of.increase[place]), 6))
    return (*(getattr(of, name)[place].item() for name in names), *rounded)


@given(series_of_a_day())
def test_hours_become_the_days_that_their_samples_make(steps: list[tuple[str, Run]]) -> None:
    samples, runs = expected(steps)
    chunks, rollups = days_of(parts_of(steps), [], METRICS)
    assert in_chunks(chunks) == samples
    assert told(rollups) == told([rollup_of(run, KINDS[metric], INTERVAL) for metric, run in runs])


@given(series_of_a_day(), series_of_a_day())
def test_what_came_late_joins_the_chunks_of_its_day(before: list[tuple[str, Run]], late: list[tuple[str, Run]]) -> None:
    old = []
    for _, run in expected(before)[1]:
        _, stored = pack_times(run.times)
        contents = pack_rows(run.values, run.starts, 4)
        for series, content in zip(run.series.tolist(), contents, strict=True):
            old.append(Piece(series, DAY * 24, INTERVAL, len(run.times), stored, content))
    changed = {series for _, run in late for series in run.series.tolist()}
    samples, runs = expected([*before, *late])
    chunks, rollups = days_of(parts_of(late), [piece for piece in old if piece.series in changed], METRICS)
    assert in_chunks(chunks) == [sample for sample in samples if sample[0] in changed]
    whole = told([rollup_of(run, KINDS[metric], INTERVAL) for metric, run in runs])
    assert told(rollups) == {place: values for place, values in whole.items() if place[0] in changed}


def test_a_metric_that_became_a_float_stays_exact_where_a_float_can() -> None:
    whole = Run(np.array([3]), np.array([BEGIN]), np.array([[7]]))
    broken = Run(np.array([3]), np.array([BEGIN + HOUR_MS]), np.array([[7.5]]))
    chunks, _ = days_of(parts_of([(WHOLE, whole), (WHOLE, broken)]), [], METRICS)
    assert in_chunks(chunks) == [(3, BEGIN, 7.0, 0), (3, BEGIN + HOUR_MS, 7.5, 0)]
