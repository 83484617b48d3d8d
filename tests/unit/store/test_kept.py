"""What is kept stays within its bound, the least recently asked for goes first, and nothing is kept twice."""

from metaconsole.store.kept import Kept


def test_the_least_recently_asked_for_goes_first() -> None:
    kept: Kept[str, int] = Kept(10)
    for number, key in enumerate(("a", "b", "c")):
        kept.keep(key, number, 3)
    assert kept.get("a") == 0
    kept.keep("d", 3, 3)
    assert [kept.get(key) for key in "abcd"] == [0, None, 2, 3]


def test_what_is_replaced_leaves_its_room_and_what_is_too_large_is_not_kept() -> None:
    kept: Kept[str, int] = Kept(10)
    kept.keep("a", 1, 6)
    kept.keep("a", 2, 6)
    kept.keep("b", 3, 4)
    assert (kept.get("a"), kept.get("b")) == (2, 3)
    kept.keep("a", 4, 11)
    assert (kept.get("a"), kept.get("b")) == (None, 3)
