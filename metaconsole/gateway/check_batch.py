"""Check a batch and make its row of the log: everything is decoded once, value bytes are stored as sent.

The one promise: a row that is returned decodes, holds finite values of known series only, and lies within the window;
samples of it that the quota refuses are counted.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import accumulate
from typing import Final

import numpy as np

from metaconsole.gateway.left_out import leave_out, leaves_some
from metaconsole.gateway.refused import RefusedError, count, instant, text
from metaconsole.gateway.series_map import Layout, SeriesMap
from metaconsole.gateway.window import AHEAD_MS, Window
from metaconsole.store.aggregates import BROKEN
from metaconsole.store.frames import FORMAT_VERSION, LogKind, LogRow
from shared.batches import BATCH_SAMPLES, BatchError, decode_times, samples_of, spread
from shared.catalogue import catalogue
from shared.columns import I64, ColumnError, decode_head, decode_i64, encode, require_finite
from shared.limits import NAME
from shared.pb import telemetry_pb2 as pb

BLOCKS: Final = 5_000
INTERVAL_MS: Final = 8 * 86_400_000
_VERSION: Final = bytes([FORMAT_VERSION])


def check_batch(
    batch: pb.Batch, series: SeriesMap, metrics: Mapping[str, int], sources: Mapping[str, int], window: Window
) -> LogRow:
    """Return the batch's row; raises RefusedError. The batch's blocks are changed to global series ids."""
    blocks = list(batch.blocks)
    try:
        times = _check_head(batch, blocks, window)
        sizes = [samples_of(block, len(times)) for block in blocks]
        samples = sum(sizes)
        count(samples, BATCH_SAMPLES, "samples in a batch")
        layouts = [_check_block(block, series, metrics) for block in blocks]
        _check_values(blocks, sizes)
        first, last = _check_times(blocks, times, window)
    except (BatchError, ColumnError) as error:
        raise RefusedError("malformed", str(error)) from error
    source_id, partly, refused = _one_source(batch, layouts, sources), leaves_some(layouts), 0
    # Only now, when nothing can be refused any more: what goes into quarantine is what was sent.
    if batch.discontinuous:
        _break(blocks)
    if partly:
        blocks, layouts, refused = leave_out(blocks, layouts, len(times))
    payload, offsets = _stored(blocks, layouts)
    return LogRow(
        LogKind.BATCH,
        first_ms=first,
        last_ms=last,
        payload=payload,
        source_id=source_id,
        plan=batch.plan,
        interval_ms=batch.interval_ms,
        samples=samples - refused,
        refused=refused,
        metrics=tuple([layout.metric_id for layout in layouts]),
        offsets=offsets,
        times=batch.times.SerializeToString(),
    )


def _check_head(batch: pb.Batch, blocks: Sequence[pb.Block], window: Window) -> I64:
    text(batch.source, NAME, "the name of a batch's source", required=True)
    text(batch.plan, NAME, "the name of a batch's plan")
    if not 1 <= batch.interval_ms <= INTERVAL_MS:
        raise RefusedError("malformed", f"a poll plan's interval is 1 ms to 8 days, this one {batch.interval_ms} ms")
    if len(batch.boot_id) not in (0, 16):
        raise RefusedError("malformed", f"a boot id has 16 bytes, this one {len(batch.boot_id)}")
    count(len(blocks), BLOCKS, "blocks in a batch")
    times = decode_times(batch)
    for edge in (times[0], times[-1]):
        instant(int(edge), window, "an instant of the batch")
    return times


def _check_block(block: pb.Block, series: SeriesMap, metrics: Mapping[str, int]) -> Layout:
    metric = block.metric
    metric_id = metrics.get(metric)
    if metric_id is None:
        raise RefusedError("unknown_metric", f"{metric[:NAME]!r} is not in the metric catalogue")
    layout = series.layout(block.series, distinct=block.scope != pb.TIME_SCOPE_SAMPLE)
    if layout.metric_id != metric_id:
        raise RefusedError("malformed", f"the series of a block of {metric} are series of another metric")
    return layout


def _check_values(blocks: Sequence[pb.Block], sizes: Sequence[int]) -> None:
    """Decode all values: the floats of a batch side by side, so that they are looked at once; whole numbers are any."""
    floats, whole = np.empty(sum(sizes) + 1, np.float64), np.empty(max(sizes, default=0) + 1, np.int64)
    end = 0
    for block, size in zip(blocks, sizes, strict=True):
        values = block.values
        if values.type == pb.VALUE_TYPE_F64:
            decode_head(values, size, floats[end:])
            end += size
        else:
            decode_head(values, size, whole)
    require_finite(floats[:end])


def _check_times(blocks: Sequence[pb.Block], times: I64, window: Window) -> tuple[int, int]:
    """Check the instants that blocks have of their own, and start times; return the first and the last instant."""
    first, last = int(times[0]), int(times[-1])
    for block in blocks:
        if block.scope != pb.TIME_SCOPE_BATCH:
            _, own = spread(block, np.broadcast_to(np.int64(0), block.series.count), times)
            low, high = int(own.min()), int(own.max())
            for edge in (low, high):
                instant(edge, window, f"a time of {block.metric}")
            first, last = min(first, low), max(last, high)
    for block in blocks:
        if block.HasField("starts"):
            _check_starts(block, last)
    return first, last


def _check_starts(block: pb.Block, newest: int) -> None:
    if block.metric not in _counters():
        raise RefusedError("malformed", f"{block.metric} is no counter and has no start times")
    starts = decode_i64(block.starts, block.series.count)
    if int(starts.min()) < 0 or int(starts.max()) > newest + AHEAD_MS:
        raise RefusedError("malformed", f"a counter of {block.metric} began before 1970 or after the batch")


def _break(blocks: Sequence[pb.Block]) -> None:
    """Let no counter go on from the sample before."""
    for block in blocks:
        if block.metric in _counters():
            block.starts.CopyFrom(encode(np.full(block.series.count, BROKEN, np.int64)))


@cache
def _counters() -> frozenset[str]:
    return frozenset(name for name, metric in catalogue().items() if metric.kind == "counter")


def _one_source(batch: pb.Batch, layouts: Sequence[Layout], sources: Mapping[str, int]) -> int | None:
    found = sources.get(batch.source)
    if any(layout.source_id != found for layout in layouts if layout.column):
        raise RefusedError("malformed", f"a batch of the source {batch.source} holds series of another source")
    return found


def _stored(blocks: Sequence[pb.Block], layouts: Sequence[Layout]) -> tuple[bytes, tuple[int, ...]]:
    """Return the blocks with global series ids, one behind the other, and where each begins and the last ends."""
    pieces = []
    for block, layout in zip(blocks, layouts, strict=True):
        if block.scope == pb.TIME_SCOPE_BATCH:
            block.ClearField("times")
        block.series.ParseFromString(layout.column)
        pieces.append(_VERSION + block.SerializeToString())
    offsets = (0, *accumulate(map(len, pieces)))
    return b"".join(pieces), offsets
