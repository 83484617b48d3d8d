"""The map of an epoch: whatever the global ids are, a layout holds the right ones, or is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaconsole.gateway.refused import RefusedError
from metaconsole.gateway.series_map import SeriesMap
from metaconsole.store.series import SeriesIds
from shared.columns import decode_i64, encode
from shared.pb import telemetry_pb2 as pb

# Pieces of neighbours, of single ids, of refused ones (0) and of those refused for the quota (-1), as definitions of
# several messages.
PIECES = st.lists(st.tuples(st.integers(-1, 40), st.integers(1, 5), st.integers(7, 8)), min_size=1, max_size=12)


@given(PIECES, st.integers(1, 12))
def test_every_series_is_found_again(pieces: list[tuple[int, int, int]], messages: int) -> None:
    series = np.concatenate([np.arange(first, first + n) if first > 0 else np.full(n, first) for first, n, _ in pieces])
    metrics = np.concatenate([np.full(n, metric if first else 0) for first, n, metric in pieces])
    made = SeriesMap()
    for part in np.array_split(np.arange(len(series)), messages):
        made.extend(SeriesIds(series[part], metrics[part], np.where(series[part] > 0, 5, 0)))
    assert made.through == len(series)
    for local in range(1, len(series) + 1):
        column = encode(np.array([local]))
        if series[local - 1] > 0:
            assert made.layout(column, distinct=True).kept is None
            layout = made.layout(column, distinct=True)
            assert (layout.metric_id, layout.source_id) == (metrics[local - 1], 5)
            assert decode_i64(pb.Column.FromString(layout.column), 1).tolist() == [series[local - 1]]
        elif series[local - 1] < 0:
            layout = made.layout(column, distinct=True)
            assert (layout.metric_id, layout.column) == (metrics[local - 1], b"")
            assert layout.kept is not None
            assert not layout.kept.any()
        else:
            with pytest.raises(RefusedError, match="refused"):
                made.layout(column, distinct=True)


def test_a_layout_may_span_runs_in_any_order_but_not_metrics_nor_sources() -> None:
    made = SeriesMap()
    made.extend(SeriesIds(np.array([11, 12, 40, 13, 14]), np.array([7, 7, 7, 7, 8]), np.array([5, 5, 5, 5, 5])))
    made.extend(SeriesIds(np.array([15]), np.array([7]), np.array([6])))
    layout = made.layout(encode(np.array([4, 3, 1, 2])), distinct=True)
    assert decode_i64(pb.Column.FromString(layout.column), 4).tolist() == [13, 40, 11, 12]
    for mixed in ([1, 5], [1, 6]):
        with pytest.raises(RefusedError, match="one metric and one source"):
            made.layout(encode(np.array(mixed)), distinct=True)
    for outside in ([0], [7]):
        with pytest.raises(RefusedError, match="1 to 6"):
            made.layout(encode(np.array(outside)), distinct=True)


def test_a_million_refused_series_take_no_room() -> None:
    made = SeriesMap()
    for metric in (7, 8):
        made.extend(SeriesIds(np.full(500_000, -1), np.full(500_000, metric), np.zeros(500_000, np.int64)))
    assert made.size < 1000
