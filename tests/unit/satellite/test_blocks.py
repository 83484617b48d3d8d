"""Blocks: what collectors add becomes one block a metric, with the start times of its counters."""

import numpy as np

from satellite.blocks import Blocks
from shared.model import Kind, ResourceKey, SeriesKey

COUNTER = "system.cpu.time"


def keys(*names: str) -> list[SeriesKey]:
    return [SeriesKey(ResourceKey(Kind.HOST, name), COUNTER) for name in names]


def test_starts_follow_their_series_and_are_0_where_nobody_knows() -> None:
    blocks = Blocks()
    blocks.add(keys("a", "b", "c"), [1.0, float("nan"), 3.0], [10, 20, 30])
    blocks.add(keys("d"), [4.0])
    (block,) = blocks.readings(1_000).blocks
    assert [key.resource.key for key in block.layout.series] == ["a", "c", "d"]
    assert block.starts is not None
    assert block.starts.dtype == np.int64
    assert block.starts.tolist() == [10, 30, 0]


def test_what_knows_no_start_has_none() -> None:
    blocks = Blocks()
    blocks.add(keys("a"), [1.0])
    (block,) = blocks.readings(1_000).blocks
    assert block.starts is None
