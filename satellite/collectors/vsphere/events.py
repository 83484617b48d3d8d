"""The histories of a server, events and ends of tasks, read on from a position; one reader per iteration of events().

The one promise: each event of the server is returned once, in the server's order, with a position behind which another
reader goes on; what the server has forgotten, or tells anew, is an event itself.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from satellite.collector import SourceError
from satellite.collectors.vsphere.event_facts import Resolve, event_of, task_end
from satellite.collectors.vsphere.event_position import Position, instant, moment, parse
from satellite.collectors.vsphere.event_seek import Found, Seek
from satellite.collectors.vsphere.library import SessionEndedError, clean, library
from satellite.collectors.vsphere.session import Session
from satellite.collectors.vsphere.task_ends import TaskEnds
from shared.clock_time import clock_time
from shared.model import Event, Severity

log = logging.getLogger(__name__)
PAGE: Final = 1000  # the vendor's most
FIRST_MS: Final = 3_600_000  # of the past at the very first start: enough to see what led here, and no load
# The server's clock may have been set back by so much while nobody read on; what of it was told already is passed over.
_SET_BACK_MS: Final = 300_000
_NAME: Final = 100  # characters of a name that goes into ids
_SINGLE: Final = 100  # events that are read one by one in a call of ours
TASKS_EVERY: Final = 30.0  # seconds between two looks for the ends of tasks, each of which takes three calls
# A metaconsole takes nothing further ahead than 5 minutes: what the server stamped so happened now at the latest.
_AHEAD_MS: Final = 240_000
_NO_HISTORY: Final = ("NotSupported", "NotImplemented", "MethodNotFound")


class EventReader:
    """`read` and `close` block, for a thread of the source; after an error of `read` only `close` may be called.

    read is to be called after each long poll, and again while it says that more waits.
    """

    def __init__(
        self,
        session: Session,
        after: str | None,
        resolve: Resolve,
        now_ms: Callable[[], int],
        tasks_every: float = TASKS_EVERY,
    ) -> None:
        """Begin behind a position that `events` got; resolve is asked in the thread that reads, now_ms is ours."""
        self._session, self._resolve, self._now_ms = session, resolve, now_ms
        self._after = parse(after)
        self._position = Position("", 0, 0, 0)
        self._tasks_every, self._tasks_due = tasks_every, 0.0
        self._ahead_ms = 0  # of the server's clock before ours
        self._collector: Any = None
        self._singly = 0  # so many are read one by one, for one of them can't be read
        self._seek: Seek
        self._ends: TaskEnds

    def read(self) -> tuple[Sequence[Event], bool]:
        """Return what is new since the last call, and whether more waits. Raises SourceError."""
        told: list[Event] = []
        if self._collector is None:
            told += self._open()
        page, more, unread = self._page()
        found = self._seek.take(page, ended=not more)
        told += self._explained(found)
        told += [self._event(event) for event in found.events]
        told += [self._unread()] * unread
        if not more and time.monotonic() >= self._tasks_due:
            ends, more = self._read_ends()
            told += ends
        return told, more

    def close(self) -> None:
        """Let the server forget the reader's collector: a session has room for 32. Never raises."""
        collector, self._collector = self._collector, None
        if collector is None:
            return
        try:
            with self._session.errors():
                collector.DestroyCollector()
        except SourceError as error:
            log.debug("a collector of events at %s is left to the end of its session: %s", self._session.where, error)

    def _page(self) -> tuple[list[Any], bool, bool]:
        """Return the next events, whether more wait, and whether one behind them can't be read."""
        if not self._singly:
            try:
                page = self._next(PAGE)
                return page, len(page) >= PAGE, False
            except SourceError as error:
                if not _unreadable(error):
                    raise
            # One of them, or the answer: to be on the safe side they are read one by one from where it was well.
            self._singly = PAGE
            self.close()
            self._seek = Seek(self._position)
            self._create(0)
        page = []
        for _ in range(_SINGLE):
            try:
                one = self._next(1)
            except SourceError as error:
                if not _unreadable(error):
                    raise
                self._singly = PAGE  # the next may be such a one as well
                return page, True, True
            page += one
            self._singly = self._singly - 1 if one else 0
            if not self._singly:
                return page, bool(one), False
        return page, True, False

    def _next(self, count: int) -> list[Any]:
        with self._session.errors():
            return [event for event in self._collector.ReadNextEvents(count) if event.createdTime is not None]

    def _open(self) -> list[Event]:
        self._ahead_ms = self._session.clock().ms - self._now_ms()
        instance = clean(self._session.content.about.instanceUuid or "", _NAME).replace("/", "_")
        after = self._after
        begin = self._now_ms() + self._ahead_ms - FIRST_MS
        told: list[Event] = []
        if after is None:
            self._position = Position(instance, 0, begin, begin)
        elif after.instance != instance:
            self._position = replace(after, instance=instance, key=0)
            told.append(self._reset(after, f"another vCenter answers ({instance}, before {after.instance})"))
        else:
            self._position = after
        self._seek = Seek(self._position)
        self._ends = TaskEnds(self._session, self._position.task_ms, self._position.task)
        if not self._session.vcenter:  # an ESXi host keeps no history of tasks
            self._tasks_due = float("inf")
        self._create(_SET_BACK_MS)
        return told

    def _create(self, back_ms: int) -> None:
        wanted = library().vim.event.EventFilterSpec
        begin = moment(self._position.time_ms - (back_ms if self._position.key else 0))
        with self._session.errors():
            try:
                self._collector = self._session.content.eventManager.CreateCollectorForEvents(
                    wanted(time=wanted.ByTime(beginTime=begin))
                )
            except library().vim.fault.InvalidState as fault:
                # Calls that were cut off have left theirs behind; with the session they go.
                sentence = f"vSphere at {self._session.where} gives this session no more collectors: it is opened anew"
                raise SessionEndedError(sentence) from fault

    def _explained(self, found: Found) -> list[Event]:
        """Return what is to be said of a position that the server does not know any more."""
        before = self._position
        if found.went_back:
            self._position = replace(before, key=0, time_ms=before.time_ms + 1)
            return [self._reset(before, "the server has gone back to an earlier history, as after a restore")]
        if (until := found.lost_until_ms) is None:
            return []
        self._position = replace(before, key=0, time_ms=until)
        return [
            self._own(
                "source.events_lost",
                f"{before.instance}/lost/{before.key}/{before.time_ms}",
                f"the server keeps no events of {clock_time(before.time_ms)} to {clock_time(until)} any more: what "
                "happened then is not told",
                {"from_ms": before.time_ms, "until_ms": until},
            )
        ]

    def _reset(self, before: Position, why: str) -> Event:
        message = f"{why}: events are told from {clock_time(before.time_ms)} on, by time"
        identity = f"{self._position.instance}/reset/{before.key}/{before.time_ms}"
        return self._own("source.events_reset", identity, message, {"from_ms": before.time_ms})

    def _own(self, kind: str, identity: str, message: str, attributes: dict[str, int]) -> Event:
        position = self._position.text()
        return Event(
            identity, self._now_ms(), kind, message, Severity.WARNING, attributes=attributes, position=position
        )

    def _event(self, event: Any) -> Event:
        at = instant(event.createdTime)
        # With the time, for a server that was restored gives keys again, to other events.
        identity = f"{self._position.instance}/{event.key}/{at}"
        self._position = replace(self._position, key=event.key, time_ms=at)
        return self._told(event_of(event, identity, self._resolve))

    def _read_ends(self) -> tuple[list[Event], bool]:
        try:
            with self._session.errors():
                ends, more = self._ends.read(self._now_ms() + self._ahead_ms)
        except SourceError as error:
            return self._without_ends(error), False
        if not more:
            self._tasks_due = time.monotonic() + self._tasks_every
        return [self._end(info) for info in ends], more

    def _without_ends(self, error: SourceError) -> list[Event]:
        """Go on without those that can't be had. Raises the error where it is another one."""
        if type(error.__cause__).__name__.rpartition(".")[2] in _NO_HISTORY:
            log.info("%s tells no ends of tasks: %s", self._session.where, error)
            self._tasks_due = float("inf")
            return []
        if not _unreadable(error):
            raise error
        since, now = self._position.task_ms, self._now_ms() + self._ahead_ms
        self._position = replace(self._position, task_ms=now, task="")
        self._ends = TaskEnds(self._session, now, "")
        self._tasks_due = time.monotonic() + self._tasks_every
        message = f"ends of tasks of {clock_time(since)} to {clock_time(now)} can't be read: {error}"
        identity = f"{self._position.instance}/unread/task/{since}"
        return [self._own("source.events_lost", identity, message, {"from_ms": since, "until_ms": now})]

    def _unread(self) -> Event:
        at = self._position
        message = f"an event of the server after {clock_time(at.time_ms)} is none that can be read, and is left out"
        return self._own("source.events_lost", f"{at.instance}/unread/{at.key}/{at.time_ms}", message, {"lost": 1})

    def _end(self, info: Any) -> Event:
        at, key = instant(info.completeTime), clean(info.key, _NAME)
        before = self._position
        if (at, info.key) > (before.task_ms, before.task):  # one that is told late does not take it back
            self._position = replace(before, task_ms=at, task=key)
        identity = f"{before.instance}/task/{key}/{at}"
        return self._told(task_end(info, identity, self._resolve))

    def _told(self, event: Event) -> Event:
        now = self._now_ms()
        told = replace(event, position=self._position.text())
        if event.time_ms <= now + _AHEAD_MS:
            return told
        return replace(told, time_ms=now, attributes={**event.attributes, "vsphere.time_ms": event.time_ms})


def _unreadable(error: SourceError) -> bool:
    """Tell whether the server answered, but nothing that makes sense."""
    return type(error) is SourceError and not isinstance(error.__cause__, library().vmodl.MethodFault)
