"""Cursors of lists: where the next page begins, opaque to the caller.

The one promise: parse returns values of exactly the types asked for, or raises CursorError.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

_BIGGEST = 2**63


class CursorError(ValueError):
    """A cursor that none of our answers contained."""

    def __init__(self) -> None:
        super().__init__("the cursor is not one that an answer of this list contained; begin again without it")


def make(position: Sequence[int | str]) -> str:
    """Return the cursor of a position."""
    packed = json.dumps(list(position), separators=(",", ":"), ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def parse(cursor: str, types: Sequence[type]) -> tuple[Any, ...]:
    """Return the position of a cursor; raises CursorError."""
    if len(cursor) > 4000:
        raise CursorError
    try:
        position = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise CursorError from error
    if not isinstance(position, list) or [type(part) for part in position] != list(types):
        raise CursorError
    for part in position:
        if isinstance(part, int) and not -_BIGGEST <= part < _BIGGEST:
            raise CursorError
        if isinstance(part, str) and ("\0" in part or not _encodable(part)):
            raise CursorError
    return tuple(position)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
