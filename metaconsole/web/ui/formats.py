"""Numbers, sizes and ages for people, on the server; metaconsole/web/frontend/units.js does the same in the browser.

The one promise: None, what is not known, is a dash.
"""

from datetime import UTC, datetime
from typing import Final

from babel.dates import format_timedelta
from babel.numbers import format_decimal
from markupsafe import Markup

from metaconsole.web.ui.language import gettext, locale

NOTHING: Final = "\N{EN DASH}"
_BINARY: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_SPANS: Final = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"))


def count(value: float | None) -> str:
    """Write a number in the reader's way."""
    return NOTHING if value is None else format_decimal(value, format="#,##0.##", locale=locale())


def size(value: float | None) -> str:
    """Write bytes, scaled by powers of 1024."""
    if value is None:
        return NOTHING
    power = 0
    while abs(value) >= 1024 and power < len(_BINARY) - 1:
        value /= 1024
        power += 1
    return f"{_significant(value)}\N{NO-BREAK SPACE}{_BINARY[power]}"


def duration(seconds: float | None) -> str:
    """Write a span of seconds, from microseconds to days, in the unit that fits."""
    if seconds is None:
        return NOTHING
    for length, unit in _SPANS:
        if abs(seconds) >= length:
            return f"{_significant(seconds / length)}\N{NO-BREAK SPACE}{unit}"
    return f"{_significant(seconds * 1000)}\N{NO-BREAK SPACE}ms"


def milliseconds(value: float | None) -> str:
    """Write a span of milliseconds."""
    return NOTHING if value is None else duration(value / 1000)


def age(ms: int | None) -> Markup | str:
    """Write an instant (UTC milliseconds) as its age, the absolute time on hover; scripts keep it current."""
    if ms is None:
        return NOTHING
    try:
        at = datetime.fromtimestamp(ms / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return NOTHING
    text = format_timedelta(at - datetime.now(UTC), add_direction=True, format="short", threshold=1, locale=locale())
    exact = at.strftime("%Y-%m-%d %H:%M:%S UTC")
    return Markup('<time datetime="{}" data-ms="{}" title="{}">{}</time>').format(at.isoformat(), ms, exact, text)


def fact(value: object, form: str) -> Markup | str:
    """Write an attribute's value: form is text, count, bytes or seconds (an instant, UTC)."""
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if not isinstance(value, int | float):
        return str(value)
    if form == "bytes":
        return size(value)
    if form == "seconds":
        return age(int(value * 1000))
    return count(value)


def _significant(value: float) -> str:
    digits = "#,##0" if abs(value) >= 100 else "#,##0.#" if abs(value) >= 10 else "#,##0.##"
    return format_decimal(value, format=digits, locale=locale())
