"""The numbers of a session as ranges: what goes on costs nothing, too many holes end it."""

from uuid import uuid4

import pytest

from metaconsole.gateway import holes
from metaconsole.gateway.check import ProtocolError
from metaconsole.gateway.holes import Holes

ONE, TWO = uuid4(), uuid4()


def test_numbers_in_any_order_without_a_hole_are_one_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holes, "RANGES", 2)
    noted = Holes({})
    for first, last in [(1, 1), (2, 2), (9, 9), (5, 8), (3, 4), (1, 9), (2, 3), (10, 12)]:
        noted.add(ONE, first, last)
    noted.add(ONE, 14, 14)
    with pytest.raises(ProtocolError, match="more than 2 holes"):
        noted.add(ONE, 16, 16)


def test_what_was_taken_before_counts_for_its_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holes, "RANGES", 5)
    noted = Holes({ONE: 4})
    noted.add(ONE, 1, 1)
    noted.add(TWO, 1, 1)
    noted.add(TWO, 3, 3)
    with pytest.raises(ProtocolError, match=str(ONE)):
        noted.add(ONE, 5, 5)


def test_a_range_over_all_holes_closes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holes, "RANGES", 3)
    noted = Holes({})
    for number in (2, 5, 8):
        noted.add(ONE, number, number)
    noted.add(ONE, 1, 9)
    for number in (11, 13):
        noted.add(ONE, number, number)
