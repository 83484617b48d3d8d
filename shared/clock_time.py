"""A time for people, where nobody knows whether it is one.

The one promise: whatever number a clock told becomes a text.
"""

from datetime import UTC, datetime


def clock_time(ms: float) -> str:
    """Write UTC milliseconds; what lies outside the years 1970 to 9892 is cut to them."""
    seconds = min(max(ms / 1000, 0), 250_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
