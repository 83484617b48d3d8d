"""Batches on the wire and as arrays: what a satellite encodes and the metaconsole checks.

A decoded block is three equally long arrays (series id, UTC milliseconds, value), whatever its time scope was.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from shared.columns import F64, I64, ColumnError, decode_i64, decode_values
from shared.pb import telemetry_pb2 as pb

BATCH_SAMPLES: Final = 200_000  # what one batch may hold; a larger answer is cut by resource
MESSAGE_BYTES: Final = 4 * 1024 * 1024


class BatchError(ValueError):
    """A batch that contradicts itself or breaks a limit."""


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of one block: series ids, UTC milliseconds and values, of equal length."""

    metric: str
    series: I64
    times: I64
    values: F64 | I64


def decode_times(batch: pb.Batch, limit: int = BATCH_SAMPLES) -> I64:
    """Decode and check the instants of a batch: at least one, ascending. Raises BatchError."""
    if not 1 <= batch.times.count <= limit:
        raise BatchError(f"a batch has 1 to {limit} instants, this one {batch.times.count}")
    times = _i64(batch.times, batch.times.count, "times")
    # Compared, not subtracted: a difference of more than 2^63 would look like a small one.
    if len(times) > 1 and not (times[1:] > times[:-1]).all():
        raise BatchError("the instants of a batch ascend; these do not")
    return times


def samples_of(block: pb.Block, instants: int) -> int:
    """Return how many samples a block claims to hold, before anything is decoded."""
    return block.series.count * instants if block.scope == pb.TIME_SCOPE_BATCH else block.series.count


def decode_block(block: pb.Block, instants: I64, limit: int = BATCH_SAMPLES) -> Samples:
    """Decode and check one block against the instants of its batch; raises BatchError."""
    count = samples_of(block, len(instants))
    if not 1 <= count <= limit:
        raise BatchError(f"a block of {block.metric or 'an unnamed metric'} has 1 to {limit} samples, this one {count}")
    series = _i64(block.series, block.series.count, "series ids")
    if (series < 1).any():
        raise BatchError("series ids start at 1")
    if block.scope != pb.TIME_SCOPE_SAMPLE and len(np.unique(series)) != len(series):
        raise BatchError(f"a series stands twice in a block of {block.metric}")
    try:
        values = decode_values(block.values, count)
    except ColumnError as error:
        raise BatchError(f"values of {block.metric}: {error}") from error
    ids, times = spread(block, series, instants)
    return Samples(block.metric, ids, times, values)


def spread(block: pb.Block, series: I64, instants: I64) -> tuple[I64, I64]:
    """Return the series id and the time of every value of a block, whatever its time scope; raises BatchError."""
    if block.scope == pb.TIME_SCOPE_BATCH:
        return np.repeat(series, len(instants)), np.tile(instants, len(series))
    if block.scope == pb.TIME_SCOPE_RESOURCE:
        index = _i64(block.times, len(series), "time indices")
        if (index < 0).any() or (index >= len(instants)).any():
            raise BatchError(f"a time index of {block.metric} is outside the batch's {len(instants)} instants")
        return series, instants[index]
    if block.scope == pb.TIME_SCOPE_SAMPLE:
        delta = _i64(block.times, len(series), "times")
        if (np.abs(delta) > 10**12).any():
            raise BatchError(f"a time of {block.metric} is more than 30 years from its batch")
        return series, instants[0] + delta
    raise BatchError(f"time scope {block.scope} is not known here")


def _i64(column: pb.Column, count: int, what: str) -> I64:
    try:
        return decode_i64(column, count)
    except ColumnError as error:
        raise BatchError(f"{what}: {error}") from error
