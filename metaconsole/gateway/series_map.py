"""An epoch's series ids as global ids: two arrays and a memory of the layouts that were seen.

The one promise: a layout that is returned holds known series of one metric and one source only. A layout is decoded,
checked and encoded with global ids once; the next batch of the same layout costs one look into a dictionary.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from metaconsole.gateway.refused import RefusedError
from metaconsole.store.series import SeriesIds
from shared.columns import I64, ColumnError, decode_i64, encode
from shared.pb import telemetry_pb2 as pb

LAYOUTS: Final = 2_000  # remembered per epoch; what changes with every batch must not fill the memory
LAYOUT_BYTES: Final = 16 * 1024  # a larger column is decoded each time


@dataclass(frozen=True, slots=True)
class Layout:
    """The checked series of a block, as the column to store."""

    metric_id: int
    source_id: int
    column: pb.Column


class SeriesMap:
    """Local ids 1 to `through` of one epoch of one satellite."""

    def __init__(self) -> None:
        self.through = 0
        self._ids: I64 = np.zeros((3, 64), np.int64)
        self._layouts: dict[bytes, Layout] = {}

    def extend(self, ids: SeriesIds) -> None:
        """Add the ids that follow. Who checks a frame meanwhile sees the old map or the new one, never half of it."""
        end = self.through + len(ids.series)
        if end + 1 > self._ids.shape[1]:
            grown = np.zeros((3, 2 * (end + 1)), np.int64)
            grown[:, : self.through + 1] = self._ids[:, : self.through + 1]
            self._ids = grown
        for row, values in zip(self._ids, (ids.series, ids.metrics, ids.sources), strict=True):
            row[self.through + 1 : end + 1] = values
        self.through = end

    def layout(self, column: pb.Column, *, distinct: bool) -> Layout:
        """Return the layout of a block's series column; raises RefusedError. Repeating ids are not remembered."""
        if not distinct or len(column.data) > LAYOUT_BYTES:
            return self._read(column, distinct=distinct)
        name = column.SerializeToString(deterministic=True)
        if (known := self._layouts.get(name)) is None:
            known = self._read(column, distinct=True)
            if len(self._layouts) >= LAYOUTS:
                self._layouts.clear()
            self._layouts[name] = known
        return known

    def _read(self, column: pb.Column, *, distinct: bool) -> Layout:
        try:
            local = decode_i64(column, column.count)
        except ColumnError as error:
            raise RefusedError("malformed", f"series ids: {error}") from error
        if not len(local) or int(local.min()) < 1 or int(local.max()) > self.through:
            raise RefusedError("unknown_series", f"series ids of this epoch are 1 to {self.through}; others stand here")
        if distinct and len(np.unique(local)) != len(local):
            raise RefusedError("malformed", "a series stands twice in a block")
        series, metrics, sources = self._ids[:, local]
        if not series.all():
            raise RefusedError("unknown_metric", "samples of a series whose definition was refused")
        if (metrics != metrics[0]).any() or (sources != sources[0]).any():
            raise RefusedError("malformed", "the series of a block are not all of one metric and one source")
        return Layout(int(metrics[0]), int(sources[0]), encode(series))
