"""A table of statistics: a row per guest or per device of one, a column per series of each row.

The one promise: while the rows and what they lack stay the same, so do the series, and nothing is built anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from satellite.blocks import Blocks
from shared.columns import F64, I64
from shared.model import ResourceKey, SeriesKey

Row: TypeAlias = tuple[ResourceKey, str]  # the resource, and its device ("" for itself)

_NANO: Final = frozenset({"ns", "ppb"})  # to seconds, and to shares of one
_LIMIT: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Column:
    """A metric's field in the statistics; device is the attribute that names a row's device; unit is the source's."""

    metric: str
    field: str
    device: str = ""
    unit: str = ""
    attributes: tuple[tuple[str, str], ...] = ()


class Table:
    """Columns over rows that change rarely."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.width = len(columns)
        self._columns = columns
        self._rows: Sequence[Row] = ()
        self._series: dict[int, tuple[bytes, Sequence[SeriesKey]]] = {}

    def add(self, blocks: Blocks, rows: Sequence[Row], values: I64) -> None:
        """Add the values (rows x columns; negative: not there) in the catalogue's units."""
        if rows != self._rows:
            self._rows = rows
            self._series.clear()
        for number, column in enumerate(self._columns):
            there = values[:, number] >= 0
            blocks.add(self._keys(number, column, there), _scaled(values[there, number], column.unit))

    def _keys(self, number: int, column: Column, there: npt.NDArray[np.bool_]) -> Sequence[SeriesKey]:
        known = self._series.get(number)
        mask = there.tobytes()
        if known is not None and known[0] == mask:
            return known[1]
        keys = [_key(column, row) for row, good in zip(self._rows, there.tolist(), strict=True) if good]
        self._series[number] = mask, keys
        return keys


def whole(rows: Sequence[Sequence[object]], width: int) -> I64:
    """Return rows of whole numbers as an array; whatever is not one of 0 … 2**63 - 1 is negative."""
    if not rows:
        return np.empty((0, width), dtype=np.int64)
    array = np.array(rows)
    if array.dtype == np.int64:
        return array
    # Text or a number too large is among them: then, and only then, each is looked at.
    objects = np.array(rows, dtype=object)
    good = np.frompyfunc(_good, 1, 1)(objects).astype(bool)
    return np.where(good, objects, -1).astype(np.int64)


def _good(value: object) -> bool:
    return type(value) is int and 0 <= value <= _LIMIT


def _scaled(values: I64, unit: str) -> F64 | I64:
    if unit in _NANO:
        return values / 1e9
    return values * 1024 if unit == "KiB" else values


def _key(column: Column, row: Row) -> SeriesKey:
    resource, device = row
    named = (*column.attributes, (column.device, device)) if column.device else column.attributes
    return SeriesKey(resource, column.metric, tuple(sorted(named)))
