"""One rule of protocol versions: a minor version apart works, and a why_refused names the end to upgrade."""

import pytest

from shared.protocol import PROTOCOL, Skew, Version, skew, why_refused

MAJOR, MINOR = 3, 7


@pytest.mark.parametrize(
    ("satellite", "expected", "upgrade"),
    [
        ((3, 7), "same", ""),
        ((3, 6), "behind", ""),
        ((3, 8), "ahead", ""),
        ((3, 5), "too_old", "upgrade the satellite"),
        ((3, 9), "too_new", "upgrade the metaconsole"),
        ((2, 7), "too_old", "upgrade the satellite"),
        ((4, 7), "too_new", "upgrade the metaconsole"),
        ((0, 0), "too_old", "upgrade the satellite"),
    ],
)
def test_one_minor_version_apart_is_the_most_that_works(satellite: Version, expected: Skew, upgrade: str) -> None:
    assert skew(satellite, (MAJOR, MINOR)) == expected
    told = why_refused(satellite, (MAJOR, MINOR))
    assert (told is None) == (upgrade == "")
    assert told is None or told.endswith(upgrade)


def test_what_is_refused_does_not_depend_on_who_asks() -> None:
    for other in ((PROTOCOL[0], PROTOCOL[1] + 1), (PROTOCOL[0], PROTOCOL[1] + 2), (PROTOCOL[0] + 1, 0)):
        here, there = why_refused(PROTOCOL, other), why_refused(other, PROTOCOL)
        assert (here is None) == (there is None)
        if here is not None and there is not None:
            assert here.endswith("upgrade the satellite")
            assert there.endswith("upgrade the metaconsole")
