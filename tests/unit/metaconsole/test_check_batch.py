"""The gateway's check of a batch, without a database: what passes becomes a row, what does not stays as it was sent."""

from collections.abc import Callable

import numpy as np
import pytest

from metaconsole.gateway.check_batch import check_batch
from metaconsole.gateway.refused import RefusedError
from metaconsole.gateway.series_map import SeriesMap
from metaconsole.gateway.window import Window
from metaconsole.store.aggregates import BROKEN
from metaconsole.store.frames import LogRow
from metaconsole.store.series import SeriesIds
from shared.columns import decode_i64, encode
from shared.pb import telemetry_pb2 as pb

NOW = 1_700_000_000_000
GAUGE, COUNTER = "system.cpu.utilization", "system.network.io"
METRICS = {GAUGE: 7, COUNTER: 8}


@pytest.fixture
def series() -> SeriesMap:
    """Local ids 1 to 3 are of the gauge, 4 to 6 of the counter; globally they are 101 to 106, of source 5."""
    made = SeriesMap()
    made.extend(SeriesIds(np.arange(101, 107), np.repeat([7, 8], 3), np.full(6, 5)))
    return made


def block(metric: str, *ids: int, starts: list[int] | None = None) -> pb.Block:
    values = np.array(ids) / 4 if metric == GAUGE else np.array(ids) * 10
    made = pb.Block(metric=metric, scope=pb.TIME_SCOPE_BATCH, series=encode(np.array(ids)), values=encode(values))
    if starts is not None:
        made.starts.CopyFrom(encode(np.array(starts)))
    return made


def batch(*blocks: pb.Block) -> pb.Batch:
    return pb.Batch(source="s", plan="fast", interval_ms=10_000, times=encode(np.array([NOW])), blocks=blocks)


def check(made: pb.Batch, series: SeriesMap) -> LogRow:
    return check_batch(made, series, METRICS, {"s": 5}, Window(NOW, 400))


def test_floats_and_whole_numbers_pass_side_by_side_and_are_stored_as_sent(series: SeriesMap) -> None:
    sent = [block(GAUGE, 3, 1), block(COUNTER, 4, 5, 6, starts=[NOW - 5, 0, NOW + 60_000]), block(GAUGE, 2)]
    row = check(batch(*sent), series)
    assert (row.samples, row.metrics, row.source_id, row.first_ms, row.last_ms) == (6, (7, 8, 7), 5, NOW, NOW)
    assert row.offsets[-1] == len(row.payload)
    ids = []
    for begin, end, original in zip(row.offsets, row.offsets[1:], sent, strict=False):
        stored = pb.Block.FromString(row.payload[begin + 1 : end])
        ids.append(decode_i64(stored.series, stored.series.count).tolist())
        assert stored.values.SerializeToString() == original.values.SerializeToString()
        assert stored.starts.SerializeToString() == original.starts.SerializeToString()
        assert stored.HasField("starts") == original.HasField("starts")
    assert ids == [[103, 101], [104, 105, 106], [102]]


def _nan(made: pb.Batch) -> None:
    values = made.blocks[2].values
    values.encoding, values.data = pb.ENCODING_RAW, np.array([np.nan]).tobytes()


def _infinite(made: pb.Batch) -> None:
    values = made.blocks[0].values
    values.encoding, values.data = pb.ENCODING_RAW, np.array([np.inf, 1.0]).tobytes()


def _one_start(made: pb.Batch) -> None:
    made.blocks[1].starts.CopyFrom(encode(np.array([NOW])))


def _start_to_come(made: pb.Batch) -> None:
    made.blocks[1].starts.CopyFrom(encode(np.array([NOW, NOW + 300_001])))


def _start_before_1970(made: pb.Batch) -> None:
    made.blocks[1].starts.CopyFrom(encode(np.array([NOW, -1])))


def _start_of_a_gauge(made: pb.Batch) -> None:
    made.blocks[2].starts.CopyFrom(encode(np.array([NOW])))


def _float_starts(made: pb.Batch) -> None:
    made.blocks[1].starts.CopyFrom(encode(np.array([1.0, 2.0])))


def _series_of_another_metric(made: pb.Batch) -> None:
    made.blocks[1].series.CopyFrom(encode(np.array([1, 2])))


def _more_than_it_claims(made: pb.Batch) -> None:
    values = made.blocks[1].values
    values.CopyFrom(encode(np.arange(40) ** 2))
    values.count = 2


@pytest.mark.parametrize(
    "spoil",
    [
        _nan,
        _infinite,
        _one_start,
        _start_to_come,
        _start_before_1970,
        _start_of_a_gauge,
        _float_starts,
        _series_of_another_metric,
        _more_than_it_claims,
    ],
)
def test_what_contradicts_itself_is_refused_and_left_as_sent(
    series: SeriesMap, spoil: Callable[[pb.Batch], None]
) -> None:
    made = batch(block(GAUGE, 1, 2), block(COUNTER, 4, 6), block(GAUGE, 3))
    made.blocks[0].times.CopyFrom(encode(np.array([4711])))  # means nothing at this scope, and is not stored
    spoil(made)
    sent = made.SerializeToString()
    with pytest.raises(RefusedError) as refused:
        check(made, series)
    assert refused.value.reason == "malformed"
    assert made.SerializeToString() == sent


def test_a_batch_without_blocks_is_a_row_of_no_samples(series: SeriesMap) -> None:
    row = check(batch(), series)
    assert (row.samples, row.metrics, row.payload, row.offsets) == (0, (), b"", (0,))


def test_counters_behind_a_clock_that_was_set_do_not_go_on(series: SeriesMap) -> None:
    made = batch(block(GAUGE, 1, 2), block(COUNTER, 4, 6), block(COUNTER, 5, starts=[NOW - 1000]))
    made.discontinuous = True
    row = check(made, series)
    parts = [pb.Block.FromString(row.payload[a + 1 : b]) for a, b in zip(row.offsets, row.offsets[1:], strict=False)]
    assert not parts[0].HasField("starts")
    assert [decode_i64(part.starts, part.series.count).tolist() for part in parts[1:]] == [[BROKEN] * 2, [BROKEN]]


@pytest.mark.parametrize(("offset", "lies"), [(600_000, 600_000), (-600_000, -600_000), (0, 0), (600_000, 899_999)])
def test_instants_count_by_the_clock_that_stamped_them_and_are_stored_as_stamped(
    series: SeriesMap, offset: int, lies: int
) -> None:
    made = batch(block(GAUGE, 1))
    made.times.CopyFrom(encode(np.array([NOW + lies])))
    row = check_batch(made, series, METRICS, {"s": 5}, Window(NOW, 400, offset))
    assert (row.first_ms, row.last_ms) == (NOW + lies, NOW + lies)


@pytest.mark.parametrize(
    ("offset", "lies"), [(0, 600_000), (600_000, 900_001), (-600_000, 0), (86_400_000, 86_400_000)]
)
def test_what_is_ahead_after_correction_is_refused(series: SeriesMap, offset: int, lies: int) -> None:
    made = batch(block(GAUGE, 1))
    made.times.CopyFrom(encode(np.array([NOW + lies])))
    with pytest.raises(RefusedError) as refused:
        check_batch(made, series, METRICS, {"s": 5}, Window(NOW, 400, offset))
    assert refused.value.reason == "skew"
