"""What a server says of one object, as plain values: bounded, printable, of the type that is asked for.

The one promise: whatever a property holds, what comes out is small and has its type, or is not there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from satellite.collectors.vsphere.library import clean, reference

Convert: TypeAlias = Callable[[Any], object]

MANY: Final = 10_000  # of a list; what comes after is left out
LONG: Final = 1000  # characters of a text that was put together
_WHOLE: Final = range(-(2**63), 2**63)
_LAST: Final = 253_402_300_799  # seconds; the end of the calendar
_ESCAPES: Final = (("%2f", "/"), ("%2F", "/"), ("%5c", "\\"), ("%5C", "\\"), ("%25", "%"))


@dataclass(slots=True)
class Facts:
    """An object: its type and id, and its properties by their paths.

    A reference ("VirtualMachine:vm-42") names another object.
    """

    type: str
    id: str
    values: dict[str, object] = field(default_factory=dict)

    @property
    def ref(self) -> str:
        """How other objects name it."""
        return f"{self.type}:{self.id}"

    def text(self, path: str) -> str:
        """Return a text; empty where it is not known."""
        value = self.values.get(path)
        return value if isinstance(value, str) else ""

    def whole(self, path: str, unit: int = 1) -> int | None:
        """Return a whole number that is not negative, times its unit; none above 64 bits."""
        value = self.values.get(path)
        return value * unit if type(value) is int and 0 <= value * unit in _WHOLE else None

    def flag(self, path: str) -> bool:
        """Return whether it is said to be so."""
        return self.values.get(path) is True

    def listed(self, path: str) -> Sequence[Any]:
        """Return what a converter made a tuple of; empty where it is not known."""
        value = self.values.get(path)
        return value if isinstance(value, tuple) else ()


def text(value: Any) -> str | None:
    """Return a line of text."""
    return clean(value) if isinstance(value, str) else None


def name(value: Any) -> str | None:
    """Return a name as people see it: vSphere escapes three characters in names."""
    if not isinstance(value, str):
        return None
    value = value[:LONG]
    for escape, character in _ESCAPES:
        value = value.replace(escape, character)
    return clean(value)


def whole(value: Any) -> int | None:
    """Return a whole number that fits into 64 bits."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    number = int(value)  # of pyvmomi's own type: a range looks for one of those from its begin to its end
    return number if number in _WHOLE else None


def flag(value: Any) -> bool | None:
    """Return yes or no."""
    return value if isinstance(value, bool) else None


def instant(value: Any) -> int | None:
    """Return a time as UTC milliseconds."""
    if not isinstance(value, datetime):
        return None
    moment = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    milliseconds = round(moment.timestamp() * 1000)
    return milliseconds if milliseconds > 0 else None


def referred(value: Any) -> str | None:
    """Return how an object is named: its type and id."""
    return None if value is None else reference(value)


def references(value: Any) -> tuple[str, ...]:
    """Return objects by their names, each once, in order."""
    return tuple(sorted({named for each in value[:MANY] if (named := referred(each))}))


def joined(parts: Sequence[str]) -> str:
    """Return parts as one bounded text, which says how many were left out."""
    kept: list[str] = []
    length = 0
    for part in parts:
        length += len(part) + 2
        if length > LONG:
            return ", ".join(kept) + f", … {len(parts) - len(kept)} more"
        kept.append(part)
    return ", ".join(kept)


def when(milliseconds: int) -> str:
    """Return a time in words: UTC, to the minute."""
    return datetime.fromtimestamp(min(milliseconds // 1000, _LAST), UTC).strftime("%Y-%m-%d %H:%M")
