"""Arrays as PostgreSQL sends them come back, and what is none is refused."""

import struct
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaconsole.store.copying import records
from metaconsole.store.samples import StoredFormatError
from metaconsole.store.sent import ragged

_ARRAYS = st.lists(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=20), min_size=1, max_size=10)


def sent(values: Sequence[int], kind: str) -> bytes:
    """Return an array as array_send writes it."""
    oid, element, size = {"int4": (23, "i", 4), "int8": (20, "q", 8), "float8": (701, "d", 8)}[kind]
    elements = b"".join(struct.pack(f">i{element}", size, value) for value in values)
    return struct.pack(">iiiii", 1, 0, oid, len(values), 1) + elements


@given(_ARRAYS, st.sampled_from(["int4", "int8", "float8"]))
def test_arrays_of_several_lengths_come_back(arrays: list[list[int]], kind: str) -> None:
    joined = b"".join(sent(values, kind) for values in arrays)
    counts = np.array([len(values) for values in arrays])
    assert ragged(joined, kind, counts).tolist() == [value for values in arrays for value in values]


@pytest.mark.parametrize(
    ("joined", "kind", "counts"),
    [
        (sent([1, 2], "int4"), "int4", [1]),
        (sent([1, 2], "int4"), "int8", [2]),
        (sent([1, 2], "int4")[:-1], "int4", [2]),
        (sent([1], "int4") + sent([1, 2], "int4"), "int4", [2, 1]),
        (b"", "int4", [1]),
    ],
)
def test_what_is_no_such_array_is_refused(joined: bytes, kind: str, counts: list[int]) -> None:
    with pytest.raises(StoredFormatError):
        ragged(joined, kind, np.array(counts))


def test_records_hold_numbers_arrays_and_nulls_side_by_side() -> None:
    first, second = records((np.array([7, 8]), "int4"), (np.array([[1.5, 2.5], [3.5, 4.5]]), "float8"), (None, "int4"))
    head = struct.pack(">iiiiii", 20 + 2 * 12, 1, 0, 701, 2, 1)
    assert first == struct.pack(">ii", 4, 7) + head + struct.pack(">idid", 8, 1.5, 8, 2.5) + struct.pack(">i", -1)
    assert second == struct.pack(">ii", 4, 8) + head + struct.pack(">idid", 8, 3.5, 8, 4.5) + struct.pack(">i", -1)
