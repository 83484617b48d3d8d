"""An epoch's series ids as global ids: runs of neighbours, and a memory of the layouts that were seen.

The one promise: a layout that is returned holds known series of one metric and one source only, and says which of the
block's are left out because the quota refuses them. A layout is decoded, checked and encoded with global ids once; the
next batch of the same layout costs one look into a dictionary.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from metaconsole.gateway.refused import RefusedError
from metaconsole.store.quota import REFUSED
from metaconsole.store.series import SeriesIds
from shared.columns import I64, ColumnError, decode_i64, encode
from shared.pb import telemetry_pb2 as pb

Mask: TypeAlias = npt.NDArray[np.bool_]
LAYOUTS: Final = 2_000  # remembered per epoch; what changes with every batch must not fill the memory
LAYOUT_BYTES: Final = 16 * 1024  # a larger column is decoded each time
LAYOUTS_BYTES: Final = 4 * 1024 * 1024  # of all that are remembered


@dataclass(frozen=True, slots=True)
class Layout:
    """The checked series of a block, and the column to store as it is on the wire; empty where none is kept.

    A message for each would take 0.5 KiB, and a gateway remembers a hundred thousand of them.
    """

    metric_id: int
    source_id: int
    column: bytes
    kept: Mask | None = None  # which of the block's series; None: all


class SeriesMap:
    """Local ids 1 to `through` of one epoch of one satellite."""

    def __init__(self) -> None:
        self.through = 0
        # Columns: the first local id of a run, its global id, metric and source. Definitions that come together get
        # neighbouring ids, so that a satellite's map is a few runs: one of thousands of sessions has no room for more.
        self._runs: I64 = np.empty((4, 0), np.int64)
        self._layouts: dict[bytes, Layout] = {}
        self._bytes = 0  # of the layouts

    @property
    def size(self) -> int:
        """Bytes of memory, roughly."""
        return int(self._runs.nbytes) + self._bytes

    def extend(self, ids: SeriesIds) -> None:
        """Add the ids that follow. Who checks a frame meanwhile sees the old map or the new one, never half of it."""
        local = np.arange(self.through + 1, self.through + 1 + len(ids.series))
        before, step = ids.series[:-1], np.diff(ids.series)
        # What the quota refuses is one like the other; what is refused otherwise has no global id, and no neighbours.
        goes_on = (before > 0) & (step == 1) | (before == REFUSED) & (step == 0)
        goes_on &= (np.diff(ids.metrics) == 0) & (np.diff(ids.sources) == 0)
        first = np.concatenate([[True], ~goes_on])[: len(local)]
        runs = np.stack([local, ids.series, ids.metrics, ids.sources])[:, first]
        self._runs = np.concatenate([self._runs, runs], axis=1)
        self.through += len(local)

    def layout(self, column: pb.Column, *, distinct: bool) -> Layout:
        """Return the layout of a block's series column; raises RefusedError. Repeating ids are not remembered."""
        if not distinct or len(column.data) > LAYOUT_BYTES:
            return self._read(column, distinct=distinct)
        name = column.SerializeToString(deterministic=True)
        if (known := self._layouts.get(name)) is None:
            known = self._read(column, distinct=True)
            if len(self._layouts) >= LAYOUTS or self._bytes > LAYOUTS_BYTES:
                self._layouts.clear()
                self._bytes = 0
            self._layouts[name] = known
            self._bytes += len(name) + len(known.column) + (0 if known.kept is None else known.kept.nbytes)
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
        begins, globals_, metrics, sources = self._runs[:, np.searchsorted(self._runs[0], local, side="right") - 1]
        series = np.where(globals_ > 0, globals_ + local - begins, globals_)
        if not series.all():
            raise RefusedError("unknown_metric", "samples of a series whose definition was refused")
        kept = series > 0
        if kept.all():
            _require_one(metrics, sources)
            return Layout(int(metrics[0]), int(sources[0]), encode(series).SerializeToString())
        _require_one(metrics, sources[kept])
        if not kept.any():
            return Layout(int(metrics[0]), 0, b"", kept)
        return Layout(int(metrics[0]), int(sources[kept][0]), encode(series[kept]).SerializeToString(), kept)


def _require_one(metrics: I64, sources: I64) -> None:
    if (metrics != metrics[0]).any() or (sources != sources[:1]).any():
        raise RefusedError("malformed", "the series of a block are not all of one metric and one source")
