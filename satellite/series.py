"""Readings become batches: series get dense ids, values become columns, an answer that is too large is cut.

The one promise: a batch names only series whose definitions are on the disk. Ids are cached by the identity of the
layout, so that a steady cycle costs a few array operations per metric and nothing per sample.
"""

import asyncio
import logging
import weakref
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from satellite import encoding
from satellite.clock import boot_id
from satellite.collector import PollPlan
from satellite.spool import Spool
from shared import columns
from shared.batches import BATCH_SAMPLES, MESSAGE_BYTES
from shared.catalogue import catalogue
from shared.columns import I64
from shared.model import Layout, ReadingBlock, Readings, ResourceKey, SeriesKey
from shared.pb import telemetry_pb2 as pb
from shared.pb import uplink_pb2

_log = logging.getLogger(__name__)
BATCH_BYTES: Final = MESSAGE_BYTES - 512 * 1024
_AT_ONCE: Final = 10_000  # definitions: as messages they take ten times the memory that they need in the end
_KNOWN_PROBLEMS: Final = 1000  # of which each is logged once
_FLOAT: Final = np.dtype(np.float64)
_WHOLE: Final = np.dtype(np.int64)


class ReadingsError(ValueError):
    """A block, or all of an answer, that is not what a collector may return."""


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """What is remembered of a layout: its ids, their column, and a number per series' resource."""

    ids: I64
    block: pb.Block  # metric and series, all that is the same in each batch
    resources: I64


@dataclass(slots=True, eq=False)
class _Source:
    """What is remembered of a source."""

    ids: dict[SeriesKey, int]
    resources: dict[ResourceKey, int]
    layouts: "weakref.WeakKeyDictionary[Layout, _Known]"


class Series:
    """The series of this run's epoch."""

    def __init__(self, spool: Spool, metrics: Collection[str], batch_samples: int = BATCH_SAMPLES) -> None:
        """Use a spool for the definitions; metrics are the names of the catalogue."""
        self.left_out: Counter[str] = Counter()  # blocks, by source
        self._spool = spool
        self._metrics = frozenset(metrics)
        self._batch_samples = batch_samples
        self._boot = boot_id()
        self._sources: dict[str, _Source] = {}
        self._numbering = asyncio.Lock()
        self._told: set[tuple[str, str]] = set()

    async def frames(
        self, source: str, plan: PollPlan, readings: Readings, monotonic_ns: int
    ) -> list[uplink_pb2.Frame]:
        """Return the batches of an answer, each a frame that waits for its append; definitions are durable on return.

        A block that is not what it should be is left out, counted and logged once. Raises SpoolError.
        """
        try:
            times = _times(readings.times, self._batch_samples)
        except ReadingsError as error:
            self._leave_out(source, plan.name, error)
            return []
        state = self._sources.setdefault(source, _Source({}, {}, weakref.WeakKeyDictionary()))
        blocks = [block for block in readings.blocks if len(block.layout.series) and self._fits(source, block, times)]
        if fresh := [block.layout for block in blocks if block.layout not in state.layouts]:
            async with self._numbering:
                await self._define(source, state, fresh)
        batch = pb.Batch(source=source, plan=plan.name, interval_ms=round(plan.interval * 1000))
        batch.monotonic_ns, batch.boot_id = monotonic_ns, self._boot
        return [uplink_pb2.Frame(batch=part) for part in self._batches(state, batch, times, blocks)]

    # --- checks

    def _fits(self, source: str, block: ReadingBlock, times: I64) -> bool:
        try:
            if block.layout.metric not in self._metrics:
                raise ReadingsError("the metric is not in the catalogue (shared/metrics.toml)")
            _check_values(block, len(times))
            if block.layout not in self._sources[source].layouts:
                _check_layout(block.layout)
        except ReadingsError as error:
            self._leave_out(source, block.layout.metric, error)
            return False
        return True

    def _leave_out(self, source: str, what: str, error: ReadingsError) -> None:
        self.left_out[source] += 1
        problem = (source, f"{what}: {error}")
        if problem not in self._told and len(self._told) < _KNOWN_PROBLEMS:
            self._told.add(problem)
            _log.error("source %s: %s (left out; told once)", *problem)

    # --- ids

    async def _define(self, source: str, state: _Source, layouts: Sequence[Layout]) -> None:
        fresh: dict[SeriesKey, int] = {}
        next_id = self._spool.current.definitions.through + 1
        for layout in layouts:
            for key in layout.series if layout not in state.layouts else ():
                if key not in state.ids and key not in fresh:
                    fresh[key] = next_id + len(fresh)
        items = list(fresh.items())
        for start in range(0, len(items), _AT_ONCE):
            part = items[start : start + _AT_ONCE]
            await self._spool.define([encoding.series_definition(source, number, key) for key, number in part])
            state.ids.update(part)
        for layout in layouts:
            self._remember(state, layout)

    def _remember(self, state: _Source, layout: Layout) -> None:
        if layout in state.layouts:
            return
        ids = np.array([state.ids[key] for key in layout.series], dtype=np.int64)
        numbers = [state.resources.setdefault(key.resource, len(state.resources)) for key in layout.series]
        block = pb.Block(metric=layout.metric, series=columns.encode(ids))
        state.layouts[layout] = _Known(ids, block, np.array(numbers, dtype=np.int64))

    # --- batches

    def _batches(
        self, state: _Source, head: pb.Batch, times: I64, blocks: Sequence[ReadingBlock]
    ) -> Iterator[pb.Batch]:
        if not blocks:
            return
        samples = sum(len(block.values) for block in blocks)
        if samples <= self._batch_samples:
            batch = _encode(state, head, times, blocks, None)
            if batch.ByteSize() <= BATCH_BYTES:
                yield batch
                return
        for chosen in _cut(state, blocks, samples // 2 + 1 if samples <= self._batch_samples else self._batch_samples):
            yield from self._part(state, head, times, blocks, chosen)

    def _part(
        self, state: _Source, head: pb.Batch, times: I64, blocks: Sequence[ReadingBlock], chosen: Sequence[I64]
    ) -> Iterator[pb.Batch]:
        part = _encode(state, head, times, blocks, chosen)
        size = sum(len(index) for index in chosen)
        if part.ByteSize() <= BATCH_BYTES or size < 2:
            yield part
            return
        # Rare: the values hardly compress. Halve the series until it fits.
        flat = [(b, i) for b, index in enumerate(chosen) for i in index.tolist()]
        for half in (flat[: size // 2], flat[size // 2 :]):
            some = [np.array([i for b, i in half if b == at], dtype=np.int64) for at in range(len(blocks))]
            yield from self._part(state, head, times, blocks, some)


def _encode(
    state: _Source, head: pb.Batch, times: I64, blocks: Sequence[ReadingBlock], chosen: Sequence[I64] | None
) -> pb.Batch:
    batch = pb.Batch()
    batch.CopyFrom(head)
    batch.times.CopyFrom(columns.encode(times))
    for at, block in enumerate(blocks):
        known = state.layouts[block.layout]
        index = None if chosen is None else chosen[at]
        if index is not None and not len(index):
            continue
        message = batch.blocks.add()
        message.CopyFrom(known.block)
        picked = block
        if index is not None:
            message.series.CopyFrom(columns.encode(known.ids[index]))
            picked = _pick(block, index, len(times))
        if picked.instants is None:
            message.scope = pb.TIME_SCOPE_BATCH
        else:
            message.scope = pb.TIME_SCOPE_RESOURCE
            message.times.CopyFrom(columns.encode(picked.instants))
        in_sequence = picked.instants is None and len(times) > 1
        message.values.CopyFrom(columns.encode_checked(picked.values, in_sequence=in_sequence))
        if picked.starts is not None:
            message.starts.CopyFrom(columns.encode(picked.starts, in_sequence=False))
    return batch


def _pick(block: ReadingBlock, index: I64, instants: int) -> ReadingBlock:
    starts = None if block.starts is None else block.starts[index]
    if block.instants is not None:
        return replace(block, values=block.values[index], instants=block.instants[index], starts=starts)
    return replace(block, values=block.values.reshape(-1, instants)[index].reshape(-1), starts=starts)


def _cut(state: _Source, blocks: Sequence[ReadingBlock], limit: int) -> Iterator[list[I64]]:
    """Yield, per part, the chosen series of each block: whole resources while they fit, else parts of them."""
    owners = [state.layouts[block.layout].resources for block in blocks]
    weights = [len(block.values) // len(block.layout.series) for block in blocks]
    block_of = np.repeat(np.arange(len(blocks)), [len(owner) for owner in owners])
    position = np.concatenate([np.arange(len(owner)) for owner in owners])
    order = np.argsort(np.concatenate(owners), kind="stable")
    cost = np.repeat(weights, [len(owner) for owner in owners])[order]
    owner = np.concatenate(owners)[order]
    starts = np.flatnonzero(np.concatenate(([True], owner[1:] != owner[:-1])))
    total = np.concatenate(([0], np.cumsum(cost)))
    for low, high in _spans(total, starts.tolist(), limit):
        some = order[low:high]
        yield [np.sort(position[some[block_of[some] == at]]).astype(np.int64) for at in range(len(blocks))]


def _spans(total: I64, starts: Sequence[int], limit: int) -> Iterator[tuple[int, int]]:
    """Yield spans of series, total being the running sum of their samples and starts where a resource begins."""
    low, end = 0, len(total) - 1
    boundaries = np.array([*starts, end])
    while low < end:
        reach = int(np.searchsorted(total, total[low] + limit, side="right")) - 1
        whole = int(boundaries[np.searchsorted(boundaries, reach, side="right") - 1])
        high = whole if whole > low else max(reach, low + 1)
        yield low, high
        low = high


def _times(times: I64, limit: int) -> I64:
    if times.ndim != 1 or times.dtype != np.dtype(np.int64) or not 1 <= len(times) <= limit:
        raise ReadingsError(f"the instants are an int64 array of 1 to {limit}, not {times.dtype}{list(times.shape)}")
    if len(times) > 1 and not (np.diff(times) > 0).all():
        raise ReadingsError("the instants do not ascend")
    return times


def _check_values(block: ReadingBlock, instants: int) -> None:
    count = len(block.layout.series)
    expected = count * instants if block.instants is None else count
    if block.values.ndim != 1 or len(block.values) != expected:
        raise ReadingsError(f"{expected} values are expected, the array is {list(block.values.shape)}")
    if block.values.dtype == _FLOAT:
        if not np.isfinite(block.values).all():
            raise ReadingsError("a value is NaN or infinite; what was not seen is left out")
    elif block.values.dtype != _WHOLE:
        raise ReadingsError(f"values are float64 or int64, not {block.values.dtype}")
    index = block.instants
    if index is not None and (index.dtype != _WHOLE or index.shape != (count,)):
        raise ReadingsError("there is one int64 instant index per series, or none at all")
    if index is not None and ((index < 0) | (index >= instants)).any():
        raise ReadingsError(f"an instant index is outside the {instants} instants")
    if block.starts is not None:
        _check_starts(block.layout.metric, block.starts, count)


def _check_starts(metric: str, starts: I64, count: int) -> None:
    known = catalogue().get(metric)
    if known is None or known.kind != "counter":
        raise ReadingsError("only a counter has start times")
    if starts.dtype != _WHOLE or starts.shape != (count,) or (starts < 0).any():
        raise ReadingsError("there is one int64 start time per series, 0 where it is not known, or none at all")


def _check_layout(layout: Layout) -> None:
    if len(set(layout.series)) != len(layout.series):
        raise ReadingsError("a series stands twice in the layout")
    if any(key.metric != layout.metric for key in layout.series):
        raise ReadingsError("a series of the layout is of another metric")
