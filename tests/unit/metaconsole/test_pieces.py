"""Pieces and grids come back as they went in, and bytes that are none are refused with a PieceError."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaconsole.store.pieces import FORMAT, PieceError, pack_rows, pack_times, unpack, unpack_series, unpack_times
from shared.columns import F64, I64

_INTEGERS = st.integers(-(2**63), 2**63 - 1)
_FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def matrices(draw: st.DrawFn) -> tuple[F64 | I64, I64 | None]:
    rows, samples = draw(st.integers(1, 4)), draw(st.integers(1, 30))
    element = draw(st.sampled_from([_INTEGERS, _FLOATS, st.just(1.5), st.just(-0.0), st.integers(0, 3)]))
    # of one type: a list of whole numbers is int64
    values = np.array([[draw(element) for _ in range(samples)] for _ in range(rows)])
    dtype = np.dtype(np.int64 if values.dtype.kind == "i" else np.float64)
    starts = draw(st.none() | st.sampled_from([0, 5, 10**12]))
    began: I64 | None = None if starts is None else np.full(values.shape, starts, np.int64)
    if began is not None and draw(st.booleans()):
        began[:, samples // 2 :] += draw(st.integers(0, 10**9))
    return (values.astype(np.int64) if dtype == np.int64 else values.astype(np.float64)), began


@given(matrices(), st.sampled_from([2, 4]))
def test_pieces_come_back(matrix: tuple[F64 | I64, I64 | None], level: int) -> None:
    values, starts = matrix
    pieces = pack_rows(values, starts, level)
    for row, piece in enumerate(pieces):
        back, began = unpack(piece, values.shape[1])
        assert back.dtype == values.dtype
        assert back.tobytes() == values[row].tobytes()
        if starts is None or not starts[row].any():
            assert began is None
        else:
            assert began is not None
            assert began.tolist() == starts[row].tolist()


@given(matrices(), st.lists(st.integers(0, 2**32), max_size=4))
def test_pieces_of_a_series_come_back_one_after_the_other(
    matrix: tuple[F64 | I64, I64 | None], scales: list[int]
) -> None:
    values, starts = matrix
    row: Any = np.concatenate([values[0], *(values[0] + scale for scale in scales)], dtype=values.dtype)
    began = np.zeros(len(row), np.int64) if starts is None else np.tile(starts[0], 1 + len(scales))
    length = values.shape[1]
    bounds = list(range(0, len(row) + 1, length))
    pieces = [pack_rows(row[None, at : at + length], began[None, at : at + length], 2)[0] for at in bounds[:-1]]
    back = np.empty_like(row)
    told = unpack_series(pieces, bounds, back)
    assert back.tobytes() == row.tobytes()
    assert (np.zeros(len(row)) if told is None else told).tolist() == began.tolist()


@given(st.lists(_INTEGERS, min_size=1, max_size=50).map(sorted))
def test_grids_come_back_and_their_name_follows_their_times(times: list[int]) -> None:
    grid = np.array(times, np.int64)
    name, stored = pack_times(grid)
    assert 0 <= name < 2**63
    assert (name, stored) == pack_times(grid.copy())
    assert unpack_times(stored, len(times)).tolist() == times


@given(matrices(), st.data())
def test_whatever_the_bytes_are_they_are_a_piece_or_refused(
    matrix: tuple[F64 | I64, I64 | None], data: st.DataObject
) -> None:
    values, starts = matrix
    samples = values.shape[1]
    piece = bytearray(pack_rows(values, starts, 2)[0])
    for _ in range(data.draw(st.integers(1, 4))):
        piece[data.draw(st.integers(0, len(piece) - 1))] = data.draw(st.integers(0, 255))
    hostile = bytes(piece[: data.draw(st.integers(0, len(piece)))] + data.draw(st.binary(max_size=20)))
    try:
        back, began = unpack(hostile, samples)
    except PieceError:
        return
    assert len(back) == samples
    assert np.isfinite(back).all()
    assert began is None or len(began) == samples


@given(matrices(), st.data())
def test_whatever_stands_among_the_pieces_of_a_series_is_one_or_refused(
    matrix: tuple[F64 | I64, I64 | None], data: st.DataObject
) -> None:
    values, _ = matrix
    piece = bytearray(pack_rows(values, None, 2)[0])
    for _ in range(data.draw(st.integers(1, 4))):
        piece[data.draw(st.integers(5, len(piece) - 1))] = data.draw(st.integers(0, 255))
    hostile = bytes(piece[: data.draw(st.integers(0, len(piece)))] + data.draw(st.binary(max_size=20)))
    row = np.empty(2 * values.shape[1], values.dtype)
    try:
        unpack_series([hostile, hostile], [0, values.shape[1], len(row)], row)
    except PieceError:
        return
    assert np.isfinite(row).all()


@given(st.binary(max_size=60), st.integers(1, 400))
def test_whatever_the_bytes_are_they_are_a_grid_or_refused(stored: bytes, samples: int) -> None:
    for candidate in (stored, bytes((FORMAT, 3)) + stored, bytes((FORMAT, 2)) + stored):
        try:
            assert len(unpack_times(candidate, samples)) == samples
        except PieceError:
            continue


@pytest.mark.parametrize("stored", [b"", b"\x01", b"\x02\x03\x00" + bytes(16), b"\xff" * 40])
def test_a_format_that_is_not_known_is_refused(stored: bytes) -> None:
    with pytest.raises(PieceError):
        unpack(stored, 2)
    with pytest.raises(PieceError):
        unpack_times(stored, 2)


def test_a_piece_of_another_length_is_refused() -> None:
    (noisy,) = pack_rows(np.random.default_rng(1).random((1, 100)), None, 2)
    for samples in (0, 1, 99, 101, 10**6):
        with pytest.raises(PieceError):
            unpack(noisy, samples)
