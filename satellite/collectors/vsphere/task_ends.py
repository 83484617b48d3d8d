"""The ends of tasks, from a vCenter's history of tasks: its events tell only of their beginnings.

The one promise: each end is told once by a reader, and one that shows late is told late.
"""

from collections.abc import Sequence
from typing import Any, Final

from satellite.collectors.vsphere.event_position import instant, moment
from satellite.collectors.vsphere.library import library
from satellite.collectors.vsphere.session import Session

PAGE: Final = 1000  # the vendor's most
_LATE_MS: Final = 10_000  # an end may show so much later than one that came after it
_SPAN_MS: Final = 7_200_000  # of the past that is read at once, so that a call stays short


class TaskEnds:
    """Asks for ends since a time. The server has no order of completion to read on in: a short span is read anew."""

    def __init__(self, session: Session, task_ms: int, task: str) -> None:
        """Begin behind an end, by its time and the vendor's key of the task."""
        self._session = session
        self._since = (task_ms, task)
        self._from_ms = task_ms  # from here on anything may be new
        self._told: dict[str, int] = {}

    def read(self, now_ms: int) -> tuple[Sequence[Any], bool]:
        """Return ends that are new, oldest first, and whether more of the past waits; now_ms is the server's time."""
        begin = self._from_ms - _LATE_MS
        until = begin + _SPAN_MS
        recent = until >= now_ms
        new = []
        for info in self._query(begin, None if recent else until):
            at = instant(info.completeTime)
            if info.key not in self._told and (at, info.key) > self._since:
                new.append(info)
            self._told[info.key] = at
        new.sort(key=lambda info: (instant(info.completeTime), info.key))
        self._from_ms = max([self._from_ms, *self._told.values()]) if recent else until
        self._told = {key: at for key, at in self._told.items() if at >= self._from_ms - _LATE_MS}
        # What is told late stands before the newest in time: from here on only the names tell what is new.
        self._since = (0, "")
        return new, not recent

    def _query(self, begin_ms: int, until_ms: int | None) -> list[Any]:
        spec = library().vim.TaskFilterSpec
        span = spec.ByTime(timeType="completedTime", beginTime=moment(begin_ms))
        if until_ms is not None:
            span.endTime = moment(until_ms)
        wanted = spec(time=span, state=["success", "error"])
        collector = self._session.content.taskManager.CreateCollectorForTasks(wanted)
        try:
            found: list[Any] = []
            while page := collector.ReadNextTasks(PAGE):
                found += page
                if len(page) < PAGE:
                    break
        finally:
            collector.DestroyCollector()
        return [info for info in found if info.completeTime is not None]
