"""Samples of refused series leave their batch: what stays is what was sent, whatever the shape of the blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaconsole.gateway.check_batch import check_batch
from metaconsole.gateway.refused import RefusedError
from metaconsole.gateway.series_map import SeriesMap
from metaconsole.gateway.window import Window
from metaconsole.store.aggregates import BROKEN
from metaconsole.store.quota import REFUSED
from metaconsole.store.series import SeriesIds
from shared.batches import decode_block, decode_times
from shared.columns import decode_i64, encode
from shared.pb import telemetry_pb2 as pb

NOW = 1_700_000_000_000
COUNTER, WINDOW = "system.network.io", Window(NOW, 400)
SERIES, FIRST = 12, 100  # local ids 1 to 12; those that are not refused are 101, 102 ... globally


def mapped(refused: set[int]) -> SeriesMap:
    made = SeriesMap()
    local = np.arange(1, SERIES + 1)
    gone = np.isin(local, list(refused))
    made.extend(SeriesIds(np.where(gone, REFUSED, FIRST + local), np.full(SERIES, 8), np.where(gone, 0, 5)))
    return made


@st.composite
def blocks(draw: st.DrawFn, instants: int) -> pb.Block:
    scope = draw(st.sampled_from([pb.TIME_SCOPE_BATCH, pb.TIME_SCOPE_RESOURCE, pb.TIME_SCOPE_SAMPLE]))
    unique = scope != pb.TIME_SCOPE_SAMPLE
    ids = draw(st.lists(st.integers(1, SERIES), min_size=1, max_size=SERIES, unique=unique))
    count = len(ids) * (instants if scope == pb.TIME_SCOPE_BATCH else 1)
    made = pb.Block(metric=COUNTER, scope=scope, series=encode(np.array(ids)))
    made.values.CopyFrom(encode(np.array(draw(st.lists(st.integers(0, 9), min_size=count, max_size=count)))))
    if scope == pb.TIME_SCOPE_RESOURCE:
        made.times.CopyFrom(encode(np.array([draw(st.integers(0, instants - 1)) for _ in ids])))
    elif scope == pb.TIME_SCOPE_SAMPLE:
        made.times.CopyFrom(encode(np.array([draw(st.integers(-9, 0)) for _ in ids])))
    if draw(st.booleans()):
        made.starts.CopyFrom(encode(np.array([draw(st.integers(0, NOW)) for _ in ids])))
    return made


@st.composite
def batches(draw: st.DrawFn) -> pb.Batch:
    instants = draw(st.integers(1, 3))
    times = encode(np.arange(NOW - 1000 * (instants - 1), NOW + 1, 1000))
    some = draw(st.lists(blocks(instants), min_size=1, max_size=4))
    return pb.Batch(
        source="s", plan="p", interval_ms=10_000, times=times, blocks=some, discontinuous=draw(st.booleans())
    )


def samples(block: pb.Block, instants: pb.Column, broken: bool) -> list[tuple[int, int, float, int]]:
    """Return all that a block says: series, time, value and start time of each sample."""
    times = decode_times(pb.Batch(times=instants))
    found = decode_block(block, times)
    count = block.series.count
    starts = np.full(count, -9)
    if broken:
        starts = np.full(count, BROKEN)
    elif block.HasField("starts"):
        starts = decode_i64(block.starts, count)
    each = np.repeat(starts, len(found.series) // count)
    return list(zip(found.series.tolist(), found.times.tolist(), found.values.tolist(), each.tolist(), strict=True))


@given(made=batches(), refused=st.sets(st.integers(1, SERIES), max_size=SERIES))
def test_what_stays_is_what_was_sent_and_what_leaves_is_counted(made: pb.Batch, refused: set[int]) -> None:
    sent = [samples(block, made.times, made.discontinuous) for block in made.blocks]
    staying = [[(FIRST + one[0], *one[1:]) for one in block if one[0] not in refused] for block in sent]
    names = (mapped(refused), {COUNTER: 8}, {"s": 5}, WINDOW)
    before = made.SerializeToString()
    if not any(staying):
        with pytest.raises(RefusedError, match="as many series as it may have") as error:
            check_batch(made, *names)
        assert error.value.reason == "quota"
        assert made.SerializeToString() == before, "what goes into quarantine is what was sent"
        return
    row = check_batch(made, *names)
    assert row.samples == sum(map(len, staying))
    assert row.samples + row.refused == sum(map(len, sent))
    edges = zip(row.offsets, row.offsets[1:], strict=False)
    stored = [pb.Block.FromString(row.payload[begin + 1 : end]) for begin, end in edges]
    times = made.times.__class__.FromString(row.times)
    assert [samples(block, times, broken=False) for block in stored] == [block for block in staying if block]
    assert len(row.metrics) == len(stored)


def of_three(value: int, source: str) -> pb.Batch:
    block = pb.Block(metric=COUNTER, scope=pb.TIME_SCOPE_BATCH, series=encode(np.array([1, 2, 3])))
    block.values.CopyFrom(encode(np.array([value, 5, value])))
    return pb.Batch(source=source, plan="p", interval_ms=1000, times=encode(np.array([NOW])), blocks=[block])


def test_a_layout_that_comes_again_leaves_out_the_same_and_the_source_is_that_of_what_stays() -> None:
    series = mapped({2})
    for value in (1, 2):
        row = check_batch(of_three(value, "s"), series, {COUNTER: 8}, {"s": 5}, WINDOW)
        assert (row.samples, row.refused, row.source_id) == (2, 1, 5)
    with pytest.raises(RefusedError, match="another source"):
        check_batch(of_three(1, "other"), series, {COUNTER: 8}, {"s": 5, "other": 6}, WINDOW)
