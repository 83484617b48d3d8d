"""Rows for COPY … (FORMAT BINARY), built by numpy a column at a time: a dump per element would cost more than the rest.

A column is a list with the bytes of each row's field, its length before it. The one promise: `rows` of columns of equal
length is what PostgreSQL's documentation of COPY calls the binary format, and the arrays are what array_recv takes.
"""

import struct
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from shared.columns import F64, I64

Column: TypeAlias = Sequence[bytes]
NULL: Final = b"\xff\xff\xff\xff"
_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_INT4: Final = (23, np.dtype([("length", ">i4"), ("value", ">i4")]))
_INT8: Final = (20, np.dtype([("length", ">i4"), ("value", ">i8")]))
_FLOAT8: Final = (701, np.dtype([("length", ">i4"), ("value", ">f8")]))
_ELEMENTS: Final = {"int4": _INT4, "int8": _INT8, "float8": _FLOAT8}


def numbers(values: I64 | F64, kind: str) -> Column:
    """Return a column of numbers; kind is int4, int8 or float8."""
    _, element = _ELEMENTS[kind]
    data, size = _elements(values, element), element.itemsize
    return [data[at : at + size] for at in range(0, len(data), size)]


def arrays(values: I64 | F64, kind: str, bounds: Sequence[int]) -> Column:
    """Return a column of one-dimensional arrays: that of row i holds values[bounds[i]:bounds[i + 1]]."""
    oid, element = _ELEMENTS[kind]
    data, size = _elements(values, element), element.itemsize
    heads: dict[int, bytes] = {}
    column = []
    for begin, end in pairwise(bounds):
        count = end - begin
        if (head := heads.get(count)) is None:
            head = heads[count] = struct.pack(">iiiiii", 20 + count * size, 1, 0, oid, count, 1)
        column.append(head + data[begin * size : end * size])
    return column


def byteas(values: Iterable[bytes]) -> Column:
    """Return a column of bytea."""
    return [len(value).to_bytes(4, "big") + value for value in values]


def jsonbs(values: Iterable[str | None]) -> Column:
    """Return a column of jsonb, given as text."""
    column = []
    for value in values:
        data = b"" if value is None else b"\x01" + value.encode()
        column.append(NULL if value is None else len(data).to_bytes(4, "big") + data)
    return column


def rows(*columns: Column) -> bytes:
    """Return the whole stream of rows."""
    head = len(columns).to_bytes(2, "big")
    return b"".join([_HEADER, *(head + b"".join(fields) for fields in zip(*columns, strict=True)), _TRAILER])


def _elements(values: I64 | F64, element: npt.DTypeLike) -> bytes:
    records = np.empty(len(values), element)
    records["length"] = records.dtype["value"].itemsize
    records["value"] = values
    return records.tobytes()
