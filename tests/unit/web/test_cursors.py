"""Cursors: what was made is read back; anything else is refused."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaconsole.store.cursors import CursorError, make, parse


@given(st.integers(-(2**63), 2**63 - 1), st.text().filter(lambda text: "\0" not in text))
def test_what_was_made_is_read_back(number: int, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    if len(make((number, text))) <= 4000:
        assert parse(make((number, text)), (int, str)) == (number, text)


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_anything_else_is_refused(cursor: str) -> None:
    with pytest.raises(CursorError):
        parse(cursor, (int, str, str, str))


@pytest.mark.parametrize(
    "position", [[True, "a"], [2**63, "a"], [1, "\0"], [1, "\ud800"], [1], {"a": 1}, [[1], "a"], [1.0, "a"], None]
)
def test_other_shapes_are_refused(position: object) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(position).encode()).decode()
    with pytest.raises(CursorError):
        parse(cursor, (int, str))
