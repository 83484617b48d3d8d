"""QueryPerf for many entities: in calls of bounded size, and around what is broken.

The one promise: an entity for which the server fails costs only itself and a few calls, however many are asked with it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final, Protocol, TypeVar

from satellite.collector import SourceError
from satellite.collectors.vsphere.counters import Counters
from satellite.collectors.vsphere.library import fault_text, library, object_id
from satellite.collectors.vsphere.samples import Found, parse
from satellite.collectors.vsphere.session import Session
from satellite.collectors.vsphere.targets import Target

T = TypeVar("T")
ENTITIES: Final = 256  # a call, as the vendor's own clients
_REPEATS: Final = 64  # calls a cycle for what is broken


class Call(Protocol):
    """Runs a blocking call in a thread of the source: `call` of the collector's context."""

    def __call__(self, function: Callable[..., T], *arguments: Any) -> Awaitable[T]:
        """Run it."""
        ...


class BrokenError(SourceError):
    """The server could not answer for some entity; entity is its id, where it says so."""

    def __init__(self, sentence: str, entity: str = "") -> None:
        super().__init__(sentence)
        self.entity = entity


class TooManyError(SourceError):
    """The server's administrator does not allow so many metrics at once."""


class Query:
    """Asks one session for the statistics of one interval (seconds)."""

    def __init__(self, session: Session, counters: Counters, interval: int) -> None:
        self._session, self._counters, self._interval = session, counters, interval

    def width(self, kind: str) -> int:
        """Return how many counters are asked of an entity of a type."""
        return len(self._counters.asked(kind))

    async def ask(
        self, call: Call, targets: Sequence[Target], since: Mapping[str, int], end: int, entities: Callable[[str], int]
    ) -> list[Found]:
        """Return the samples after `since` of each target (by its id) and up to `end` (UTC milliseconds).

        entities tells how many of a type are asked at once, and is asked anew after a TooManyError. Raises SourceError.
        """
        found: list[Found] = []
        repeats = _REPEATS
        for kind, group in groupby(sorted(targets, key=lambda target: target.type), lambda target: target.type):
            waiting = list(group) if self.width(kind) else []
            parts: list[list[Target]] = []
            while waiting or parts:
                if not parts:
                    size = max(1, min(ENTITIES, entities(kind)))
                    parts, waiting = [waiting[:size]], waiting[size:]
                part = parts.pop()
                try:
                    found += await call(self._ask, part, since, end)
                except TooManyError:
                    size = entities(kind)
                    if size >= len(part):
                        raise
                    waiting = [*part, *waiting]
                except BrokenError as error:
                    if repeats == 0:
                        raise
                    repeats -= 1
                    parts += _around(part, error.entity)
        return found

    def _ask(self, part: Sequence[Target], since: Mapping[str, int], end: int) -> list[Found]:
        """Ask once for entities of one type. Blocks."""
        vim, vmodl = library().vim, library().vmodl
        with self._session.errors():
            try:
                answer = self._session.content.perfManager.QueryPerf(self._specs(part, since, end))
            except vmodl.fault.ManagedObjectNotFound as fault:
                raise BrokenError(_sentence(self._session, fault), _id(fault.obj)) from fault
            except (vmodl.fault.InvalidArgument, vmodl.fault.SystemError) as fault:
                raise BrokenError(_sentence(self._session, fault)) from fault
            except vim.fault.RestrictedByAdministrator as fault:
                raise TooManyError(_sentence(self._session, fault)) from fault
            return parse(answer or (), part[0].type, {target.id: None for target in part}, self._counters)

    def _specs(self, part: Sequence[Target], since: Mapping[str, int], end: int) -> list[Any]:
        vim = library().vim
        spec, managed = vim.PerformanceManager.QuerySpec, getattr(vim, part[0].type)
        metrics = self._counters.asked(part[0].type)
        moments = {ms: datetime.fromtimestamp(ms / 1000, UTC) for ms in {end, *since.values()}}
        return [
            spec(
                entity=managed(target.id, self._session.stub),
                startTime=moments[since[target.id]],
                endTime=moments[end],
                metricId=metrics,
                intervalId=self._interval,
                format="csv",
            )
            for target in part
        ]


def _around(part: list[Target], broken: str) -> list[list[Target]]:
    """Return what is to be asked again: all but the broken one where it is known, else both halves."""
    rest = [target for target in part if target.id != broken]
    if len(rest) == len(part):
        half = len(part) // 2
        return [part[:half], part[half:]] if half else []
    return [rest] if rest else []


def _id(managed: Any) -> str:
    return "" if managed is None else object_id(managed)


def _sentence(session: Session, fault: Any) -> str:
    return f"vSphere at {session.where} could not give statistics: {fault_text(fault)}"
