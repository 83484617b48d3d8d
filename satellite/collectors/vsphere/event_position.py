"""Where in a server's histories the satellite has got to, as a text that lies in the spool beside the events.

The one promise: what was written by `text` is read by `parse`, and anything else is no position.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Position:
    """The newest event that was told, by key and time (UTC milliseconds), and the newest end of a task.

    key 0: none was told; it goes on with all events that are not older than the time.
    """

    instance: str
    key: int
    time_ms: int
    task_ms: int
    task: str = ""

    def text(self) -> str:
        """Return it as a text."""
        return f"{self.instance}/{self.key}/{self.time_ms}/{self.task_ms}/{self.task}"


def parse(text: str | None) -> Position | None:
    """Return the position that a text holds; None where it is none of ours."""
    parts = (text or "").split("/", 4)
    try:
        instance, key, time_ms, task_ms, task = parts
        return Position(instance, int(key), int(time_ms), int(task_ms), task)
    except ValueError:
        return None


def instant(moment: datetime) -> int:
    """Return a time of the server in whole UTC milliseconds, never rounded up."""
    utc = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (utc - _EPOCH) // timedelta(milliseconds=1)


def moment(ms: int) -> datetime:
    """Return UTC milliseconds as the library wants a time; what no calendar has is cut to what has one."""
    return _EPOCH + timedelta(milliseconds=min(max(ms, 0), 250_000_000_000_000))
