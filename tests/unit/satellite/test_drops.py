"""The list of what was dropped: bounded, whole or known to be damaged, and its parts add up."""

from collections.abc import Callable

import pytest

from satellite.drops import MOST, Drop, added, of_file, parts, to_file


def test_drops_that_are_too_many_are_joined_from_the_oldest_and_lose_nothing() -> None:
    many = [Drop(n, n, n, n, 2) for n in range(1, MOST + 11)]
    found = added(many[:5], many[5:])
    assert len(found) == MOST
    assert found[0] == Drop(1, 11, 1, 11, 22)
    assert sum(drop.samples for drop in found) == 2 * len(many)
    assert of_file(to_file(found)) == found


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"x" * 9, lambda _: b""])
def test_a_file_of_drops_is_whole_or_damaged(change: Callable[[bytes], bytes]) -> None:
    assert of_file(change(to_file([Drop(1, 2, 3, 4, 5)]))) in (None, [Drop(1, 2, 3, 4, 5)])
    assert of_file(b"") is None
    assert of_file(to_file([Drop(5, 4, 0, 0, 0)])) is None
    assert of_file(to_file([Drop(1, 4, 0, 0, 0), Drop(4, 5, 0, 0, 0)])) is None


def test_the_parts_of_a_drop_add_up() -> None:
    whole = Drop(10, 19, 0, 0, 7)
    for cut in range(10, 19):
        pieces = [*parts([whole], 1, cut), *parts([whole], cut + 1, 99)]
        assert sum(piece.samples for piece in pieces) == 7
        assert sum(piece.frames for piece in pieces) == 10
    assert not list(parts([whole], 20, 99))
