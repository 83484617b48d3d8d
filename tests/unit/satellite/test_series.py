"""Series: ids, checks, and answers cut by resource; what comes out decodes to what went in."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from satellite import series as series_module
from satellite.collector import PollPlan
from satellite.series import Series
from satellite.spool import Spool
from satellite.spool_errors import SpoolFullError
from shared.batches import decode_block, decode_times
from shared.columns import I64, decode_i64
from shared.limits import KEY
from shared.model import Kind, Layout, ReadingBlock, Readings, ResourceKey, SeriesKey
from shared.pb import telemetry_pb2, uplink_pb2

PLAN = PollPlan("fast", 10, 8)
NOW = 1_700_000_000_000


def layout(metric: str, *owners: int, copies: int = 1) -> Layout:
    keys = [
        SeriesKey(ResourceKey(Kind.GUEST, f"g{owner}"), metric, (("device", str(copy)),))
        for owner in owners
        for copy in range(copies)
    ]
    return Layout(metric, tuple(keys))


def readings(*blocks: ReadingBlock, times: tuple[int, ...] = (NOW,)) -> Readings:
    return Readings(np.array(times, dtype=np.int64), blocks)


def frames(series: Series, answer: Readings, source: str = "s") -> list[uplink_pb2.Frame]:
    return asyncio.run(series.frames(source, PLAN, answer, 1))


def samples(found: list[uplink_pb2.Frame]) -> list[tuple[int, int, float]]:
    triples: list[tuple[int, int, float]] = []
    for frame in found:
        instants = decode_times(frame.batch)
        for block in frame.batch.blocks:
            decoded = decode_block(block, instants)
            triples += zip(decoded.series.tolist(), decoded.times.tolist(), decoded.values.tolist(), strict=True)
    return sorted(triples)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path, lambda: NOW)


def test_ids_are_dense_from_one_and_stay_with_their_series(spool: Spool) -> None:
    series = Series(spool, {"a", "b"})
    first = layout("a", 1, 2)
    answer = readings(ReadingBlock(first, np.array([1.0, 2.0])), ReadingBlock(layout("b", 1), np.array([5])))
    assert [(i, v) for i, _, v in samples(frames(series, answer))] == [(1, 1.0), (2, 2.0), (3, 5)]
    again = readings(ReadingBlock(layout("a", 2, 3), np.array([7.0, 8.0])))
    assert [(i, v) for i, _, v in samples(frames(series, again))] == [(2, 7.0), (4, 8.0)]
    other = readings(ReadingBlock(first, np.array([9.0, 9.0])))
    assert [i for i, _, _ in samples(frames(series, other, source="t"))] == [5, 6]
    defined = [item for message in spool.current.definitions.read(0) for item in message.definitions]
    assert [(d.id, d.resource.source, d.resource.key, d.metric) for d in defined][:3] == [
        (1, "s", "g1", "a"),
        (2, "s", "g2", "a"),
        (3, "s", "g1", "b"),
    ]
    assert defined[0].attributes == {"device": "0"}
    assert len(defined) == 6


def test_many_series_are_defined_a_part_at_a_time(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series_module, "_AT_ONCE", 2)
    series = Series(spool, {"a"})
    many = readings(ReadingBlock(layout("a", *range(5)), np.arange(5.0)))
    define, sizes = spool.define, []

    async def counted(definitions: Sequence[telemetry_pb2.SeriesDefinition]) -> None:
        sizes.append(len(definitions))
        if len(sizes) == 2:
            raise SpoolFullError("no room")
        await define(definitions)

    monkeypatch.setattr(spool, "define", counted)
    with pytest.raises(SpoolFullError):
        frames(series, many)
    assert spool.current.definitions.through == 2  # what is on the disk is known, and goes on from there
    assert [(i, v) for i, _, v in samples(frames(series, many))] == [(number + 1, float(number)) for number in range(5)]
    assert sizes == [2, 2, 2, 1]
    assert len([item for message in spool.current.definitions.read(0) for item in message.definitions]) == 5


def test_a_bad_block_is_left_out_and_the_rest_goes_on(spool: Spool, caplog: pytest.LogCaptureFixture) -> None:
    series = Series(spool, {"good"})
    good = ReadingBlock(layout("good", 1), np.array([4.0]))
    twice = Layout("good", layout("good", 1).series * 2)
    bad = [
        ReadingBlock(layout("unknown", 1), np.array([1.0])),
        ReadingBlock(layout("good", 1), np.array([np.nan])),
        ReadingBlock(layout("good", 1), np.array([1.0, 2.0])),
        ReadingBlock(layout("good", 1), np.array([1.0], dtype=np.float32)),  # type: ignore[arg-type]
        ReadingBlock(layout("good", 1), np.array([1.0]), np.array([3], dtype=np.int64)),
        ReadingBlock(twice, np.array([1.0, 2.0])),
        ReadingBlock(Layout("good", layout("unknown", 1).series), np.array([1.0])),
    ]
    for _ in range(2):
        assert [v for _, _, v in samples(frames(series, readings(*bad, good)))] == [4.0]
    assert series.left_out["s"] == 2 * len(bad)
    assert len(caplog.records) == len(bad)
    assert frames(series, readings(good, times=(5, 5))) == []


def test_definitions_are_hostile_safe(spool: Spool) -> None:
    key = SeriesKey(ResourceKey(Kind.GUEST, "a\0b\ud800"), "m", (("device", "\ud800" * 5000),))
    series = Series(spool, {"m"})
    assert samples(frames(series, readings(ReadingBlock(Layout("m", (key,)), np.array([1.0])))))
    (message,) = spool.current.definitions.read(0)
    assert message.definitions[0].resource.key == "a\N{REPLACEMENT CHARACTER}b?"
    assert len(message.definitions[0].attributes["device"]) == KEY


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limit=st.integers(1, 30),
    owners=st.lists(st.integers(0, 6), min_size=1, max_size=12, unique=True),
    copies=st.integers(1, 4),
    instants=st.integers(1, 3),
)
def test_a_large_answer_is_cut_by_resource_and_loses_nothing(
    tmp_path_factory: pytest.TempPathFactory, limit: int, owners: list[int], copies: int, instants: int
) -> None:
    spool = Spool(tmp_path_factory.mktemp("spool"), lambda: NOW)
    limit = max(limit, instants)
    times = tuple(NOW + 1000 * n for n in range(instants))
    first, second = layout("a", *owners, copies=copies), layout("b", *reversed(owners))
    blocks = [
        ReadingBlock(first, np.arange(len(first.series) * instants, dtype=np.float64)),
        ReadingBlock(second, np.arange(len(owners)), np.zeros(len(owners), dtype=np.int64)),
    ]
    whole = frames(Series(spool, {"a", "b"}), readings(*blocks, times=times))
    cut = frames(
        Series(Spool(tmp_path_factory.mktemp("cut"), lambda: NOW), {"a", "b"}, limit), readings(*blocks, times=times)
    )
    assert samples(cut) == samples(whole)
    assert all(len(samples([frame])) <= limit for frame in cut)
    if limit >= copies * instants + 1:
        parts = [{(i - 1) // copies for i, _, _ in samples([f]) if i <= len(first.series)} for f in cut]
        assert sum(len(part) for part in parts) == len(owners)  # no resource is in two parts


def test_an_answer_above_the_size_limit_is_cut(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series_module, "BATCH_BYTES", 10_000)
    many = layout("a", *range(4000))
    noise = np.random.default_rng(1).normal(size=4000)
    found = frames(Series(spool, {"a"}), readings(ReadingBlock(many, noise)))
    assert len(found) > 3
    assert all(frame.batch.ByteSize() <= 10_000 for frame in found)
    assert [v for _, _, v in samples(found)] == noise.tolist()


def test_start_times_travel_with_the_series_of_a_counter_however_it_is_cut(spool: Spool) -> None:
    counter = layout("system.network.io", 1, 2, 3, 4)
    block = ReadingBlock(counter, np.array([10, 11, 20, 21, 30, 31, 40, 41]), starts=np.array([1, 2, 3, 4]) * 1_000)
    found = frames(Series(spool, {"system.network.io"}, 4), readings(block, times=(NOW, NOW + 1)))
    assert len(found) == 2
    pairs: list[tuple[int, int]] = []
    for frame in found:
        (part,) = frame.batch.blocks
        series = decode_i64(part.series, 2).tolist()
        pairs += zip(series, decode_i64(part.starts, 2).tolist(), strict=True)
    assert pairs == [(1, 1_000), (2, 2_000), (3, 3_000), (4, 4_000)]


@pytest.mark.parametrize(
    ("metric", "starts"),
    [
        ("system.cpu.utilization", np.array([1, 1])),
        ("system.network.io", np.array([1])),
        ("system.network.io", np.array([1.0, 1.0])),
        ("system.network.io", np.array([1, -1])),
    ],
)
def test_start_times_that_can_not_be_leave_the_block_out(spool: Spool, metric: str, starts: I64) -> None:
    series = Series(spool, {metric})
    assert frames(series, readings(ReadingBlock(layout(metric, 1, 2), np.array([1, 2]), starts=starts))) == []
    assert series.left_out["s"] == 1
