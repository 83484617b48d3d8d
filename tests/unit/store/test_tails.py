"""A tail serves the questions whose snapshot it covers, holds a row once, and shows each question its own moment."""

from uuid import UUID

import numpy as np

from metaconsole.store.tails import Piece, Place, Tail

ONE = UUID(int=1)
WANTED = np.array([2])


def piece(first: int, last: int) -> Piece:
    """Return rows of two series; row n was measured at 10 n and has the values n and 100 n."""
    rows = np.arange(first, last + 1)
    values = np.stack([rows, 100 * rows], axis=1).astype(np.float64)
    return Piece(ONE, np.array([1, 2]), rows, rows * 10, values, None)


def times(tail: Tail, place: Place, span: tuple[int, int] = (0, 10_000)) -> list[int]:
    return [at for one in tail.stretches(WANTED, {ONE: place}, span) for at in one.times.tolist()]


def test_more_rows_join_and_compacted_ones_leave() -> None:
    before = Tail(0, {}, []).with_more({ONE: Place(2, 2, 0, 5)}, [piece(3, 5)])
    assert times(before, Place(2, 2, 0, 5)) == [30, 40, 50]
    later = Place(4, 4, 0, 7)
    assert before.serves({ONE: later}, 0)
    assert before.head(ONE) == 5
    after = before.with_more({ONE: later}, [piece(6, 7)])
    assert times(after, later) == [50, 60, 70]
    assert len(after.pieces) == 1
    assert [one.values.tolist() for one in after.stretches(WANTED, {ONE: later}, (60, 70))] == [[600.0]]


def test_an_older_snapshot_is_not_served_once_rows_left_and_sees_no_newer_rows() -> None:
    tail = Tail(0, {}, []).with_more({ONE: Place(2, 2, 0, 9)}, [piece(3, 9)])
    assert times(tail, Place(2, 2, 0, 4)) == [30, 40]
    moved = tail.with_more({ONE: Place(5, 5, 0, 9)}, [])
    assert not moved.serves({ONE: Place(2, 2, 0, 9)}, 0)
    assert not tail.serves({ONE: Place(2, 1, 0, 9)}, 0)
    assert not Tail(0, {ONE: Place(2, 2, 50, 9)}, []).serves({ONE: Place(2, 2, 40, 9)}, 0)
    # What an older question adds does not make newer rows come twice.
    assert tail.with_more({ONE: Place(2, 2, 0, 4)}, []).head(ONE) == 9


def test_rows_from_an_earlier_time_on_are_asked_for_anew() -> None:
    tail = Tail(500, {}, []).with_more({ONE: Place(2, 2, 0, 9)}, [piece(3, 9)])
    assert tail.serves({ONE: Place(2, 2, 0, 9)}, 500)
    assert not tail.serves({ONE: Place(2, 2, 0, 9)}, 499)


def test_of_rows_that_were_seen_only_what_lies_behind_the_hour_is_hot() -> None:
    tail = Tail(0, {}, []).with_more({ONE: Place(2, 6, 50, 9)}, [piece(3, 9)])
    assert times(tail, Place(2, 6, 50, 9)) == [50, 60, 70, 80, 90]
    assert tail.stretches(WANTED, {}, (0, 10_000)) == []  # of a satellite that is gone
