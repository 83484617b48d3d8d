"""The column codec: what was encoded comes back bit for bit; hostile bytes are a ColumnError and cost no memory."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from shared.columns import F64, I64, ColumnError, decode_f64, decode_i64, decode_values, encode
from shared.pb import telemetry_pb2 as pb

_FLOATS = arrays(np.float64, st.integers(0, 300), elements=st.floats(allow_nan=False, allow_infinity=False))
_INTEGERS = arrays(np.int64, st.integers(0, 300), elements=st.integers(-(2**63), 2**63 - 1))
_REGULAR = st.builds(
    lambda start, step, count: start + step * np.arange(count, dtype=np.int64),
    st.integers(-(2**40), 2**40),
    st.integers(-(2**20), 2**20),
    st.integers(1, 300),
)
_COLUMNS = st.builds(
    pb.Column,
    encoding=st.sampled_from([0, 1, 2, 3, 9]),
    version=st.sampled_from([0, 1, 2]),
    type=st.sampled_from([0, 1, 2, 9]),
    count=st.integers(0, 2**32 - 1),
    data=st.binary(max_size=200),
)


@given(_FLOATS)
def test_floats_come_back_bit_for_bit(values: F64) -> None:
    decoded = decode_f64(encode(values), len(values))
    assert decoded.dtype == np.float64
    assert np.array_equal(decoded.view(np.int64), values.view(np.int64))


@given(st.one_of(_INTEGERS, _REGULAR))
def test_integers_come_back(values: I64) -> None:
    assert np.array_equal(decode_i64(encode(values), len(values)), values)
    assert np.array_equal(decode_values(encode(values), len(values)), values)


@given(_REGULAR)
def test_regular_integers_take_16_bytes(values: I64) -> None:
    assert len(encode(values).data) == 16


@pytest.mark.parametrize(
    "values",
    [
        np.array([1.0, np.nan]),
        np.array([np.inf]),
        np.array([[1.0]]),
        np.array([1.0], dtype=np.float32),
        np.array([1], dtype=np.uint64),
    ],
)
def test_what_is_no_column_is_refused(values: F64) -> None:
    with pytest.raises(ColumnError):
        encode(values)


@settings(max_examples=300)
@given(_COLUMNS, st.integers(0, 500))
def test_hostile_columns_decode_to_what_was_expected_or_are_refused(column: pb.Column, expected: int) -> None:
    for decode in (decode_f64, decode_i64):
        try:
            values = decode(column, expected)
        except ColumnError:
            continue
        assert len(values) == expected == column.count
        assert np.isfinite(values).all()


@settings(max_examples=200)
@given(_FLOATS.filter(lambda values: len(values) > 20), st.data())
def test_a_flipped_byte_never_crashes_and_never_yields_another_count(values: F64, data: st.DataObject) -> None:
    column = encode(values)
    damaged = bytearray(column.data)
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    column.data = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    try:
        decoded = decode_f64(column, len(values))
    except ColumnError:
        return
    assert len(decoded) == len(values)
    assert np.isfinite(decoded).all()


def test_a_column_that_unpacks_to_far_more_than_expected_costs_no_memory() -> None:
    bomb = encode(np.concatenate([np.zeros(4_000_000), np.ones(1)]))
    assert len(bomb.data) < 100_000
    bomb.count = 10
    tracemalloc.start()
    try:
        with pytest.raises(ColumnError, match="or more values, expected 10"):
            decode_f64(bomb, 10)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_an_arithmetic_column_stays_within_int64() -> None:
    data = np.array([2**62, 2**62], dtype="<i8").tobytes()
    column = pb.Column(encoding=pb.ENCODING_ARITHMETIC, version=1, type=pb.VALUE_TYPE_I64, count=3, data=data)
    with pytest.raises(ColumnError, match="range of int64"):
        decode_i64(column, 3)
