"""Readings of many instants: a matrix for what is complete, the rest by instants, layouts that stay."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from satellite.matrices import Layouts, Part, blocks
from shared.columns import F64
from shared.model import Kind, ReadingBlock, ResourceKey, SeriesKey


def series(count: int, metric: str = "hw.power", first: int = 0) -> tuple[SeriesKey, ...]:
    return tuple(SeriesKey(ResourceKey(Kind.HOST, str(first + number)), metric) for number in range(count))


def samples(made: list[ReadingBlock], instants: int) -> dict[tuple[SeriesKey, int], float]:
    found = {}
    for block in made:
        for row, key in enumerate(block.layout.series):
            own = list(range(instants)) if block.instants is None else [int(block.instants[row])]
            for column, place in enumerate(own):
                assert (key, place) not in found
                found[key, place] = block.values[row * len(own) + column].item()
    return found


holes = arrays(np.float64, (5, 4), elements=st.sampled_from([1.5, 2.0, np.nan]))


@given(holes, holes)
def test_each_value_that_was_seen_is_there_once(one: F64, two: F64) -> None:
    parts = [Part(series(5), one, np.arange(4)), Part(series(5, first=5), two[:, :3], np.array([0, 2, 3]))]
    made = blocks(parts, 4, Layouts())
    wanted = {
        (part.series[row], int(part.places[column])): value
        for part in parts
        for (row, column), value in np.ndenumerate(part.values)
        if not np.isnan(value)
    }
    assert samples(made, 4) == wanted
    assert sum(block.instants is None for block in made) <= 1


def test_what_has_a_hole_stands_beside_the_matrix() -> None:
    keys = series(3)
    values = np.ones((3, 2))
    values[1, 0] = np.nan
    matrix, rest = blocks([Part(keys, values, np.arange(2))], 2, Layouts())
    assert matrix.layout.series == (keys[0], keys[2])
    assert matrix.values.tolist() == [1.0] * 4
    assert rest.instants is not None
    assert (rest.layout.series, rest.values.tolist(), rest.instants.tolist()) == (keys[1:2], [1.0], [1])


def test_a_layout_is_forgotten_after_an_answer_without_it() -> None:
    keys, places = series(2), np.arange(1)
    layouts = Layouts()
    (first,) = blocks([Part(keys, np.ones((2, 1)), places)], 1, layouts)
    (second,) = blocks([Part(keys, np.ones((2, 1)), places)], 1, layouts := layouts.next())
    assert second.layout is first.layout
    layouts = layouts.next()
    assert blocks([Part(keys, np.full((2, 1), np.nan), places)], 1, layouts) == []
    (third,) = blocks([Part(keys, np.ones((2, 1)), places)], 1, layouts.next())
    assert third.layout is not first.layout
    assert third.layout.series == first.layout.series


def test_samples_at_other_instants_keep_the_layout_and_whole_metrics_are_whole() -> None:
    keys, layouts = series(2, "storage.usage"), Layouts()
    values = np.array([[1.0, 2.0], [2.0**53, 3.6]])
    early, late = blocks([Part(keys, values, np.array([[0, 1], [1, 2]]))], 3, layouts)
    assert early.layout is late.layout
    assert early.values.tolist() == [1, 2**53]
    assert late.values.tolist() == [2, 4]
    assert early.values.dtype == late.values.dtype == np.int64
    assert [block.instants.tolist() for block in (early, late) if block.instants is not None] == [[0, 1], [1, 2]]
