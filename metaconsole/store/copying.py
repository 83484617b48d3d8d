"""Rows for COPY … (FORMAT BINARY), built by numpy many at a time: a dump per element would cost more than the rest.

A column is a list with the bytes of each row's field, its length before it; `records` makes one of several fields.
The one promise: `rows` of columns of equal length is what PostgreSQL's documentation of COPY calls the binary format,
and the arrays are what array_recv takes.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from shared.columns import F64, I64

Column: TypeAlias = Sequence[bytes]
NULL: Final = b"\xff\xff\xff\xff"
_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_KINDS: Final = {"int4": (23, ">i4"), "int8": (20, ">i8"), "float8": (701, ">f8")}


def records(*fields: tuple[F64 | I64 | None, str]) -> Column:
    """Return fields that take as many bytes in each row, side by side: values and their kind, int4, int8 or float8.

    A one-dimensional array holds a number per row, a matrix an array per row; None is null in each row.
    """
    names = [f"f{place}" for place in range(len(fields))]
    parts: list[tuple[str, Any]] = [(name, _part(*field)) for name, field in zip(names, fields, strict=True)]
    table = np.empty(next(len(values) for values, _ in fields if values is not None), parts)
    for name, (values, kind) in zip(names, fields, strict=True):
        if values is None:
            table[name]["length"] = -1
            continue
        oid, element = _KINDS[kind]
        size = np.dtype(element).itemsize
        if values.ndim == 1:
            table[name]["length"], table[name]["value"] = size, values
            continue
        count = values.shape[1]
        table[name]["head"] = (20 + count * (4 + size), 1, 0, oid, count, 1)
        table[name]["elements"]["length"], table[name]["elements"]["value"] = size, values
    data, size = table.tobytes(), table.itemsize
    return [data[at : at + size] for at in range(0, len(data), size)]


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


def rows(count: int, *columns: Column) -> bytes:
    """Return the whole stream of rows of so many fields each."""
    head = count.to_bytes(2, "big")
    return b"".join([_HEADER, *(head + b"".join(fields) for fields in zip(*columns, strict=True)), _TRAILER])


def _part(values: F64 | I64 | None, kind: str) -> Any:
    if values is None:
        return [("length", ">i4")]
    number = [("length", ">i4"), ("value", _KINDS[kind][1])]
    return number if values.ndim == 1 else [("head", ">i4", (6,)), ("elements", number, (values.shape[1],))]
