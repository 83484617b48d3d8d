"""RangeSet against a plain set of integers."""

from hypothesis import given
from hypothesis import strategies as st

from shared.ranges import RangeSet

_OPERATIONS = st.lists(st.tuples(st.booleans(), st.integers(1, 60), st.integers(0, 12)), max_size=40)


@given(_OPERATIONS, st.integers(1, 70))
def test_a_range_set_is_a_set_of_integers_in_merged_ranges(operations: list[tuple[bool, int, int]], probe: int) -> None:
    ranges, model = RangeSet(), set[int]()
    for adds, first, length in operations:
        last = first + length
        if adds:
            ranges.add(first, last)
            model |= set(range(first, last + 1))
        else:
            ranges.remove(first, last)
            model -= set(range(first, last + 1))
    assert {n for low, high in ranges for n in range(low, high + 1)} == model
    assert len(ranges) == len(model)
    assert all(high + 1 < low for (_, high), (low, _) in zip(list(ranges), list(ranges)[1:], strict=False))
    assert (probe in ranges) == (probe in model)
    assert ranges.next_from(probe) == min((n for n in model if n >= probe), default=None)
    assert {n for low, high in ranges.missing(5, 40) for n in range(low, high + 1)} == set(range(5, 41)) - model
    assert {n for low, high in ranges.clipped(5, 40) for n in range(low, high + 1)} == set(range(5, 41)) & model
    assert ranges.highest == max(model, default=0)
