"""Batches: the three time scopes, and blocks that contradict themselves."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.batches import BatchError, decode_block, decode_times, samples_of
from shared.columns import I64, encode
from shared.pb import telemetry_pb2 as pb

TIMES = np.array([1000, 2000, 4000], dtype=np.int64)


def ints(*values: int) -> I64:
    return np.array(values, dtype=np.int64)


def block(scope: pb.TimeScope, series: I64, values: I64, times: I64 | None = None) -> pb.Block:
    message = pb.Block(metric="m", scope=scope, series=encode(series), values=encode(values))
    if times is not None:
        message.times.CopyFrom(encode(times))
    return message


def triples(message: pb.Block) -> list[tuple[int, int, int]]:
    found = decode_block(message, TIMES)
    return list(zip(found.series.tolist(), found.times.tolist(), found.values.tolist(), strict=True))


def test_each_value_gets_its_series_and_its_time() -> None:
    whole = block(pb.TIME_SCOPE_BATCH, ints(5, 9), ints(1, 2, 3, 4, 5, 6))
    assert triples(whole) == [(5, 1000, 1), (5, 2000, 2), (5, 4000, 3), (9, 1000, 4), (9, 2000, 5), (9, 4000, 6)]
    assert triples(block(pb.TIME_SCOPE_RESOURCE, ints(5, 9), ints(1, 2), ints(2, 0))) == [(5, 4000, 1), (9, 1000, 2)]
    sample = block(pb.TIME_SCOPE_SAMPLE, ints(5, 5), ints(1, 2), ints(-500, 7))
    assert triples(sample) == [(5, 500, 1), (5, 1007, 2)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b.series.CopyFrom(encode(ints(5, 5))), "stands twice"),
        (lambda b: b.series.CopyFrom(encode(ints(0, 5))), "start at 1"),
        (lambda b: b.values.CopyFrom(encode(ints(1, 2, 3))), "expected 2"),
        (lambda b: b.times.CopyFrom(encode(ints(0, 3))), "outside"),
        (lambda b: b.times.CopyFrom(encode(ints(0, -1))), "outside"),
        (lambda b: b.ClearField("times"), "time indices"),
        (lambda b: b.ClearField("scope"), "time scope 0"),
        (lambda b: setattr(b.series, "count", 10**6), "1 to 200000 samples"),
        (lambda b: setattr(b.series, "count", 0), "1 to 200000 samples"),
    ],
)
def test_a_block_that_contradicts_itself_is_refused(change: Callable[[pb.Block], object], message: str) -> None:
    bad = block(pb.TIME_SCOPE_RESOURCE, ints(5, 9), ints(1, 2), ints(2, 0))
    change(bad)
    with pytest.raises(BatchError, match=message):
        decode_block(bad, TIMES)


def test_a_sample_far_from_its_batch_is_refused() -> None:
    with pytest.raises(BatchError, match="30 years"):
        decode_block(block(pb.TIME_SCOPE_SAMPLE, ints(1), ints(1), ints(2 * 10**12)), TIMES)


@given(st.lists(st.integers(-(2**62), 2**62), max_size=20))
def test_instants_ascend(times: list[int]) -> None:
    batch = pb.Batch(times=encode(ints(*times)))
    if times and all(before < after for before, after in itertools.pairwise(times)):
        assert decode_times(batch).tolist() == times
    else:
        with pytest.raises(BatchError):
            decode_times(batch)


@given(
    st.builds(
        pb.Block,
        metric=st.text(max_size=5),
        scope=st.sampled_from([0, 1, 2, 3, 7]),
        series=st.builds(
            pb.Column,
            encoding=st.sampled_from([1, 2, 3]),
            version=st.just(1),
            type=st.just(2),
            count=st.integers(0, 2**32 - 1),
            data=st.binary(max_size=32),
        ),
        values=st.builds(pb.Column, encoding=st.just(3), version=st.just(1), type=st.just(2), count=st.integers(0, 9)),
    )
)
def test_hostile_blocks_are_samples_of_equal_length_or_refused(message: pb.Block) -> None:
    assert samples_of(message, 3) >= 0
    try:
        found = decode_block(message, TIMES)
    except BatchError:
        return
    assert len(found.series) == len(found.times) == len(found.values)
