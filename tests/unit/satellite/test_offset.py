"""The offset of another clock: within the uncertainty whatever the way there and back takes."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satellite.offset import DRIFT, KEPT, OffsetFilter

S = 1_000_000_000
_DELAYS = st.tuples(st.integers(0, 30 * S), st.integers(0, 5 * S), st.integers(0, 30 * S), st.integers(0, 20 * S))


@dataclass
class Pair:
    """Two clocks: at a moment ours says it, the other one is ahead and runs at another rate."""

    ahead: int
    drift: float

    def other(self, at: int) -> int:
        return at + self.ahead + round(at * self.drift)

    def truth(self, at: int) -> int:
        return self.other(at) - at


@given(
    st.integers(-(10**6) * S, 10**6 * S),
    st.floats(-DRIFT * 0.99, DRIFT * 0.99),
    st.lists(_DELAYS, min_size=1, max_size=2 * KEPT),
)
def test_the_truth_is_within_the_uncertainty_however_lopsided_the_ways_are(
    ahead: int, drift: float, trips: list[tuple[int, int, int, int]]
) -> None:
    pair, offsets, now, best = Pair(ahead, drift), OffsetFilter(), S, 61 * S
    for there, inside, back, pause in trips:
        received, answered, arrived = now + there, now + there + inside, now + there + inside + back
        offsets.add(now, pair.other(received), pair.other(answered), arrived)
        now = arrived
        known = offsets.at(now)
        assert known is not None
        assert abs(known.ns - pair.truth(now)) <= known.uncertainty_ns
        best = (there + back) // 2 if best == 61 * S else best
        now += pause
        known = offsets.at(now)
        assert known is not None
        assert abs(known.ns - pair.truth(now)) <= known.uncertainty_ns


def test_the_shortest_of_the_last_round_trips_counts() -> None:
    offsets = OffsetFilter()
    offsets.add(0, 100 * S + 1000, 100 * S + 1000, 2000)
    offsets.add(5 * S, 105 * S + 4 * S, 105 * S + 4 * S, 9 * S)  # all of 4 s on the way there
    known = offsets.at(10 * S)
    assert known is not None
    assert known.ns == pytest.approx(100 * S, abs=2_000)
    assert known.uncertainty_ns < 0.01 * S


@given(st.integers(2 * S, 10**5 * S), st.booleans())
def test_a_clock_that_jumps_is_followed_with_the_next_answer(jump: int, back: bool) -> None:
    pair, offsets = Pair(0, 0), OffsetFilter()
    for at in range(S, 40 * S, 5 * S):
        offsets.add(at, pair.other(at + 1000), pair.other(at + 1000), at + 2000)
    pair.ahead = -jump if back else jump
    offsets.add(50 * S, pair.other(50 * S + 1000), pair.other(50 * S + 1000), 50 * S + 2000)
    known = offsets.at(51 * S)
    assert known is not None
    assert abs(known.ns - pair.ahead) <= known.uncertainty_ns < S


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=4, max_size=4))
def test_whatever_an_answer_holds_something_bounded_follows_or_nothing(numbers: list[int]) -> None:
    offsets = OffsetFilter()
    offsets.add(*numbers)
    known = offsets.at(S)
    assert known is None or known.uncertainty_ns >= 0


def test_an_answer_from_before_its_question_is_left_out() -> None:
    offsets = OffsetFilter()
    offsets.add(10, 100, 90, 20)  # answered before it was received
    offsets.add(10, 100, 110, 5)  # arrived before it was sent
    offsets.add(10, 100, 130, 20)  # under way for less than nothing
    assert offsets.at(30) is None
    offsets.add_reading(10 * S, 5_000, 1000, 11 * S)
    known = offsets.at(11 * S)
    assert known is not None
    assert abs(known.ns + 5 * S) <= known.uncertainty_ns <= 1.01 * S
