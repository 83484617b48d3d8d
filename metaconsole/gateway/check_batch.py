"""Check a batch and make its row of the log: everything is decoded once, value bytes are stored as sent.

The one promise: a row that is returned decodes, holds finite values of known series only, and lies within the window.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from metaconsole.gateway.refused import NAME, RefusedError, count, instant, text
from metaconsole.gateway.series_map import Layout, SeriesMap
from metaconsole.gateway.window import Window
from metaconsole.store.frames import FORMAT_VERSION, LogKind, LogRow
from shared.batches import BATCH_SAMPLES, BatchError, decode_times, samples_of, spread
from shared.columns import I64, ColumnError, decode_values
from shared.pb import telemetry_pb2 as pb

BLOCKS: Final = 5_000
INTERVAL_MS: Final = 8 * 86_400_000
_VERSION: Final = bytes([FORMAT_VERSION])


def check_batch(
    batch: pb.Batch, series: SeriesMap, metrics: Mapping[str, int], sources: Mapping[str, int], window: Window
) -> LogRow:
    """Return the batch's row; raises RefusedError. The batch's blocks are changed to global series ids."""
    try:
        times = _check_head(batch, window)
        layouts = [_check_block(block, series, metrics) for block in batch.blocks]
        spans = [_check_values(block, times, window) for block in batch.blocks]
    except (BatchError, ColumnError) as error:
        raise RefusedError("malformed", str(error)) from error
    source_id = _one_source(batch, layouts, sources)
    # Only now, when nothing can be refused any more: what goes into quarantine is what was sent.
    pieces = [_stored(block, layout) for block, layout in zip(batch.blocks, layouts, strict=True)]
    offsets = [0]
    for piece in pieces:
        offsets.append(offsets[-1] + len(piece))
    return LogRow(
        LogKind.BATCH,
        first_ms=min([int(times[0]), *(first for first, _ in spans)]),
        last_ms=max([int(times[-1]), *(last for _, last in spans)]),
        payload=b"".join(pieces),
        source_id=source_id,
        plan=batch.plan,
        interval_ms=batch.interval_ms,
        samples=sum(samples_of(block, len(times)) for block in batch.blocks),
        metrics=tuple(layout.metric_id for layout in layouts),
        offsets=tuple(offsets),
        times=batch.times.SerializeToString(),
    )


def _check_head(batch: pb.Batch, window: Window) -> I64:
    text(batch.source, NAME, "the name of a batch's source", required=True)
    text(batch.plan, NAME, "the name of a batch's plan")
    if not 1 <= batch.interval_ms <= INTERVAL_MS:
        raise RefusedError("malformed", f"a poll plan's interval is 1 ms to 8 days, this one {batch.interval_ms} ms")
    if len(batch.boot_id) not in (0, 16):
        raise RefusedError("malformed", f"a boot id has 16 bytes, this one {len(batch.boot_id)}")
    count(len(batch.blocks), BLOCKS, "blocks in a batch")
    times = decode_times(batch)
    count(sum(samples_of(block, len(times)) for block in batch.blocks), BATCH_SAMPLES, "samples in a batch")
    for edge in (times[0], times[-1]):
        instant(int(edge), window, "an instant of the batch")
    return times


def _check_block(block: pb.Block, series: SeriesMap, metrics: Mapping[str, int]) -> Layout:
    metric_id = metrics.get(block.metric)
    if metric_id is None:
        raise RefusedError("unknown_metric", f"{block.metric[:NAME]!r} is not in the metric catalogue")
    layout = series.layout(block.series, distinct=block.scope != pb.TIME_SCOPE_SAMPLE)
    if layout.metric_id != metric_id:
        raise RefusedError("malformed", f"the series of a block of {block.metric} are series of another metric")
    return layout


def _check_values(block: pb.Block, times: I64, window: Window) -> tuple[int, int]:
    """Decode values and times of a block; return its first and last instant."""
    total = samples_of(block, len(times))
    decode_values(block.values, total)
    if block.scope == pb.TIME_SCOPE_BATCH:
        block.ClearField("times")
        return int(times[0]), int(times[-1])
    _, own = spread(block, np.broadcast_to(np.int64(0), total), times)
    first, last = int(own.min()), int(own.max())
    for edge in (first, last):
        instant(edge, window, f"a time of {block.metric}")
    return first, last


def _one_source(batch: pb.Batch, layouts: list[Layout], sources: Mapping[str, int]) -> int | None:
    found = sources.get(batch.source)
    if any(layout.source_id != found for layout in layouts):
        raise RefusedError("malformed", f"a batch of the source {batch.source} holds series of another source")
    return found


def _stored(block: pb.Block, layout: Layout) -> bytes:
    block.series.CopyFrom(layout.column)
    return _VERSION + block.SerializeToString()
