"""Blocks of the log become runs: what the compactor makes of the rows of one unit of work.

The one promise: every sample of the rows that `keep` wants is in exactly one of the runs. The gateway has checked what
is decoded here (values are finite, counts are what they say); what does not decode raises ColumnError.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from metaconsole.store.compaction import Row, Stored
from metaconsole.store.frames import FORMAT_VERSION
from metaconsole.store.runs import Run
from shared.batches import spread
from shared.columns import I64, decode_i64, decode_into, decode_values, dtype_of
from shared.pb import telemetry_pb2 as pb

_BATCH: Final = pb.TIME_SCOPE_BATCH


class _Columns:
    """Blocks of one metric with the same series, each at all of its row's instants: a matrix, filled in the end."""

    def __init__(self, block: pb.Block) -> None:
        self._series = decode_i64(block.series, block.series.count)
        self._dtype = dtype_of(block.values)
        self._blocks: list[pb.Block] = []
        self._instants: list[I64] = []
        self._kept: list[I64] = []

    def add(self, block: pb.Block, instants: I64, kept: I64) -> None:
        """Take the samples at the kept ones of the instants; there is at least one."""
        self._blocks.append(block)
        self._instants.append(instants)
        self._kept.append(kept)

    def run(self) -> Run:
        """Return all of them as one run."""
        times = np.concatenate([instants[kept] for instants, kept in zip(self._instants, self._kept, strict=True)])
        count, end = len(self._series), 0
        values: npt.NDArray[Any] = np.empty((len(times), count), self._dtype)
        starts: I64 | None = None
        for block, instants, kept in zip(self._blocks, self._instants, self._kept, strict=True):
            begin, end = end, end + len(kept)
            if len(instants) == 1:
                decode_into(block.values, values[begin])
            else:
                values[begin:end] = decode_values(block.values, count * len(instants)).reshape(count, -1).T[kept]
            if block.HasField("starts"):
                starts = np.zeros(values.shape, np.int64) if starts is None else starts
                starts[begin:end] = decode_i64(block.starts, count)
        turned = None if starts is None else np.ascontiguousarray(starts.T)
        return Run(self._series, times, np.ascontiguousarray(values.T), turned)


def runs_of(
    rows: Sequence[Row], data: Sequence[Stored], metrics: frozenset[int], keep: Callable[[Row, I64], I64]
) -> Iterator[tuple[int, list[Run]]]:
    """Yield each of some metrics with its blocks as runs, one after the other; keep chooses among a row's instants."""
    grids: dict[int, dict[tuple[int, bytes, int], _Columns]] = {}
    runs: dict[int, list[Run]] = {}
    for row, stored in zip(rows, data, strict=True):
        column = pb.Column.FromString(row.times)
        instants = decode_i64(column, column.count)
        kept = keep(row, instants)
        for metric_id, (begin, end) in zip(row.metrics, pairwise(row.offsets), strict=True):
            if metric_id not in metrics:
                continue
            block = _block(stored.data, begin - stored.begin, end - stored.begin)
            if block.scope != _BATCH:
                runs.setdefault(metric_id, []).extend(_scattered(row, block, instants, keep))
            elif len(kept):
                series = block.series
                mine, key = grids.setdefault(metric_id, {}), (series.count, series.data, block.values.type)
                if (columns := mine.get(key)) is None:
                    columns = mine[key] = _Columns(block)
                columns.add(block, instants, kept)
    for metric_id in {**runs, **grids}:
        # What the one before was decoded into is free again by now, and still near the processor.
        yield metric_id, [*runs.pop(metric_id, []), *(columns.run() for columns in grids.get(metric_id, {}).values())]


def _block(data: bytes, begin: int, end: int) -> pb.Block:
    if data[begin] != FORMAT_VERSION:
        raise ValueError(f"block format {data[begin]} is not known here: upgrade the compactor")
    return pb.Block.FromString(data[begin + 1 : end])


def _scattered(row: Row, block: pb.Block, instants: I64, keep: Callable[[Row, I64], I64]) -> Iterator[Run]:
    """Yield the samples of a block whose series have instants of their own, a run per instant."""
    ids = decode_i64(block.series, block.series.count)
    series, times = spread(block, ids, instants)
    values = decode_values(block.values, len(ids))
    starts = decode_i64(block.starts, len(ids)) if block.HasField("starts") else None
    kept = keep(row, times)
    kept = kept[np.lexsort((values[kept], series[kept], times[kept]))]
    series, times, values = series[kept], times[kept], values[kept]
    last = np.append((series[1:] != series[:-1]) | (times[1:] != times[:-1]), True)[: len(kept)]
    edges = np.flatnonzero(np.append(True, times[1:] != times[:-1]))[: len(kept)]
    for at in np.split(np.arange(len(kept)), edges[1:]):
        mine = at[last[at]]
        began = None if starts is None else starts[kept[mine]][:, None]
        yield Run(series[mine], times[mine[:1]], values[mine][:, None], began)
