"""Why a frame is refused, and the small checks that every kind of frame shares.

The one promise: a text that passed `text` can be stored by PostgreSQL and is no longer than it may be.
"""

from metaconsole.gateway.window import Window


class RefusedError(Exception):
    """A frame, or a part of one, that is refused for good: a short constant and a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail[:1000]


def text(value: str, limit: int, what: str, *, required: bool = False) -> str:
    """Return the text if it may be stored; raises RefusedError."""
    if len(value) > limit:
        raise RefusedError("limit", f"{what} has {len(value)} characters; at most {limit} are taken")
    if "\0" in value:
        raise RefusedError("malformed", f"{what} holds a NUL character, which PostgreSQL can't store")
    if required and not value:
        raise RefusedError("malformed", f"{what} is empty")
    return value


def plain(value: str, limit: int) -> str:
    """Return the beginning of a text, fit for a log and for PostgreSQL: a space for what can't be printed."""
    return "".join(character if character.isprintable() else " " for character in value[:limit])


def instant(value: int, window: Window, what: str) -> int:
    """Return the instant (UTC milliseconds) if it is inside the window that is accepted; raises RefusedError."""
    if not window.begin <= value <= window.end:
        raise RefusedError("skew", f"{what} is {value}, outside {window}")
    return value


def count(number: int, limit: int, what: str) -> None:
    """Raise RefusedError for more than limit."""
    if number > limit:
        raise RefusedError("limit", f"{number} {what}; at most {limit} are taken")
