"""Attributes as wire messages: what no field can hold is text or left out, whatever type a library gives it."""

import math

from satellite.encoding import attribute_values


class Long(int):
    """A whole number of a type of its own, as some vendors' libraries have them."""


def test_a_whole_number_of_another_type_is_looked_at_by_its_size() -> None:
    # Whether such a number is in a range Python finds out by going through the range.
    told = attribute_values({"large": Long(2**62), "small": Long(-(2**63)), "beyond": Long(2**63)})
    assert (told["large"].integer, told["small"].integer) == (2**62, -(2**63))
    assert told["beyond"].text == str(2**63)


def test_numbers_flags_and_texts_keep_their_kind_and_what_is_no_number_is_left_out() -> None:
    told = attribute_values({"flag": True, "number": 0.5, "text": "a\0b", "none": math.nan})
    assert told["flag"].flag
    assert told["number"].number == 0.5
    assert told["text"].text == "a\N{REPLACEMENT CHARACTER}b"
    assert "none" not in told
