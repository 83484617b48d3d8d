"""The comparison of what was produced with what became of it, against a plain model: sets of numbers."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaconsole.account import Account, Counted, account
from metaconsole.gateway.check import ProtocolError
from metaconsole.gateway.reconciliation import ROWS, ReportError, check_produced
from metaconsole.store.reconciliation import Missing, Told, missing
from shared.batches import BATCH_SAMPLES
from shared.pb import uplink_pb2
from shared.ranges import RangeSet
from shared.tallies import BLOCK, block_of

ONE, OTHER = UUID(int=1), UUID(int=2)
# Around the end of a block, so that ranges go over it.
sequences = st.integers(BLOCK - 8, BLOCK + 8)
parts = st.lists(st.tuples(sequences, sequences).map(lambda pair: (min(pair), max(pair))), max_size=5)


def told(first: int, last: int, samples: int = 0, epoch: UUID = ONE, uncounted: int = 0) -> Told:
    return Told(epoch, first, last, samples, uncounted, 0, 0)


def numbers(ranges: list[tuple[int, int]] | RangeSet) -> set[int]:
    return {number for first, last in ranges for number in range(first, last + 1)}


def in_blocks(ranges: list[tuple[int, int]]) -> list[Told]:
    """Return ranges as a satellite tells them: joined, one for each block."""
    joined = RangeSet(ranges)
    return [
        told(max(first, block * BLOCK), min(last, block * BLOCK + BLOCK - 1))
        for first, last in joined
        for block in range(block_of(first), block_of(last) + 1)
    ]


@given(produced=parts, taken=parts)
def test_what_is_missing_is_what_was_produced_and_not_taken(
    produced: list[tuple[int, int]], taken: list[tuple[int, int]]
) -> None:
    found = missing(in_blocks(produced), {ONE: RangeSet(taken), OTHER: RangeSet([(1, 10**6)])})
    assert numbers([(part.first, part.last) for part in found]) == numbers(produced) - numbers(taken)
    assert sum(part.last - part.first + 1 for part in found) == len(numbers(produced) - numbers(taken)), "one twice"


def test_an_epoch_that_is_not_known_is_missing_as_a_whole_and_epochs_are_not_mixed() -> None:
    report = [told(1, 3), told(1, 5, epoch=OTHER)]
    assert missing(report, {OTHER: RangeSet([(2, 9)])}) == [Missing(ONE, 1, 3), Missing(OTHER, 1, 1)]


@given(produced=parts, taken=parts, dropped=parts, refused=parts, counted=parts)
def test_each_sequence_is_stored_or_lost_or_absent(
    produced: list[tuple[int, int]],
    taken: list[tuple[int, int]],
    dropped: list[tuple[int, int]],
    refused: list[tuple[int, int]],
    counted: list[tuple[int, int]],
) -> None:
    made, there = numbers(produced), numbers(taken)
    tallies = [
        Counted(ONE, 0, "dropped", RangeSet(dropped), 0, 0, 0),  # it may go on behind its block
        Counted(ONE, 1, "refused: limit", RangeSet(refused), 0, 0, 0),
        Counted(ONE, 0, "", RangeSet(counted), 7, 0, 0),
        Counted(OTHER, 0, "dropped", RangeSet([(1, 10**6)]), 0, 0, 0),
    ]
    found = account(in_blocks(produced), {ONE: RangeSet(taken)}, tallies)
    assert found.frames == len(made)
    assert found.absent == len(made - there)
    assert found.lost.get("dropped", 0) == len(made & there & numbers(dropped))
    assert found.lost.get("refused: limit", 0) == len((made & there & numbers(refused)) - numbers(dropped))
    assert found.frames - found.missing == len((made & there) - numbers(dropped) - numbers(refused))


def of(samples: int, counted: Counted, uncounted: int = 0) -> Account:
    return account([told(1, 4, samples, uncounted=uncounted)], {ONE: RangeSet([(1, 4)])}, [counted])


def test_samples_are_compared_where_the_same_frames_were_counted() -> None:
    equal = of(40, Counted(ONE, 0, "", RangeSet([(1, 4)]), 40, 0, 0))
    assert (equal.stored_samples, equal.differing) == (40, [])
    more = of(40, Counted(ONE, 0, "", RangeSet([(1, 4)]), 41, 0, 0))
    assert [line.unequal for line in more.differing] == [True]
    unknown = of(30, Counted(ONE, 0, "", RangeSet([(1, 4)]), 40, 0, 0), uncounted=1)
    assert unknown.differing == []
    behind = of(40, Counted(ONE, 0, "", RangeSet([(1, 2)]), 20, 0, 0))
    assert (behind.stored_samples, behind.differing) == (40, [])
    ahead = of(40, Counted(ONE, 0, "", RangeSet([(1, 9)]), 90, 0, 0))
    assert (ahead.stored_samples, ahead.differing) == (40, [])


@given(st.integers(0, 60), st.integers(0, 60))
def test_what_stored_frames_lack_because_it_was_refused_is_counted_and_no_difference(stored: int, refused: int) -> None:
    tallies = [
        Counted(ONE, 0, "", RangeSet([(1, 4)]), stored, 0, 0),
        Counted(ONE, 0, "refused: quota", RangeSet(), refused, 0, 0),
    ]
    found = account([told(1, 4, 60)], {ONE: RangeSet([(1, 4)])}, tallies)
    assert (found.stored_samples, found.refused_samples, found.missing) == (stored, refused, 0)
    assert [line.unequal for line in found.differing] == ([] if stored + refused == 60 else [True])


def test_what_is_stored_twice_differs() -> None:
    twice = of(40, Counted(ONE, 0, "", RangeSet([(1, 4)]), 40, 1, 10))
    assert (twice.again_frames, twice.again_samples, len(twice.differing)) == (1, 10, 1)


def row(**changes: int) -> uplink_pb2.ProducedRange:
    plain = {"first": 1, "last": 9, "samples": 90, "uncounted": 0, "from_ms": 5, "to_ms": 6}
    return uplink_pb2.ProducedRange(**(plain | changes))


@pytest.mark.parametrize(
    "bad",
    [
        {"first": 0},
        {"first": 10},
        {"last": 2**62},
        {"last": BLOCK},
        {"uncounted": 10},
        {"samples": 9 * BATCH_SAMPLES + 1},
        {"from_ms": 7},
        {"to_ms": 2**62},
        {"from_ms": -(2**63)},
    ],
)
def test_a_report_that_can_not_be_true_is_refused(bad: dict[str, int]) -> None:
    epoch = uplink_pb2.EpochProduced(epoch=ONE.bytes, ranges=[row(**bad)])
    with pytest.raises(ReportError):
        check_produced(uplink_pb2.Produced(epochs=[epoch]), ROWS)


def test_a_report_is_bounded_and_names_epochs() -> None:
    rows = [row(first=n * BLOCK, last=n * BLOCK) for n in range(1, 4)]
    part = uplink_pb2.Produced(epochs=[uplink_pb2.EpochProduced(epoch=ONE.bytes, ranges=rows)])
    assert [(one.epoch, one.first) for one in check_produced(part, 3)] == [(ONE, n * BLOCK) for n in range(1, 4)]
    with pytest.raises(ReportError, match="at most"):
        check_produced(part, 2)
    with pytest.raises(ReportError, match="at most"):
        check_produced(uplink_pb2.Produced(epochs=[uplink_pb2.EpochProduced()] * (ROWS + 1)), ROWS)
    with pytest.raises(ProtocolError):
        check_produced(uplink_pb2.Produced(epochs=[uplink_pb2.EpochProduced(epoch=b"x", ranges=[row()])]), ROWS)
