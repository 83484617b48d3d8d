"""QueryPerf for many entities: in calls of bounded size, and around what is broken.

The one promise: an entity for which the server fails costs only itself and a few calls, however many are asked with it.
"""

import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeVar
from xml.parsers.expat import ExpatError

from satellite.collector import SourceError
from satellite.collectors.vsphere.counters import Counters
from satellite.collectors.vsphere.library import clean, fault_text, library, object_id
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


class Limit:
    """How many metrics may be asked at once, over all entities of a call; negative: as many as one likes."""

    def __init__(self, metrics: int = -1) -> None:
        self._metrics = metrics

    def entities(self, width: int) -> int:
        """Return how many entities of so many metrics are asked at once, one at least."""
        return ENTITIES if self._metrics < 0 else max(1, min(ENTITIES, self._metrics // width))

    def lower(self, entities: int, width: int) -> None:
        """Ask for half as much as was too much."""
        self._metrics = entities * width // 2


class Query:
    """Asks one session for the statistics of one interval (seconds)."""

    def __init__(self, session: Session, counters: Counters, interval: int) -> None:
        self._session, self._counters, self._interval = session, counters, interval

    async def ask(
        self, call: Call, targets: Sequence[Target], since: Mapping[str, int], end: int, limit: Limit
    ) -> list[Found]:
        """Return the samples after `since` of each target (by its id) and up to `end` (UTC milliseconds).

        The limit is lowered where the server finds it too high. Raises SourceError; for what is broken only where there
        is nothing else.
        """
        found: list[Found] = []
        parts, repeats = self._parts(targets, limit), _REPEATS
        failed: BrokenError | None = None
        while parts:
            part = parts.pop()
            try:
                found += await call(self._ask, part, since, end)
            except BrokenError as error:
                # Of too many broken ones the rest is left out: it is asked again with the next cycle.
                failed = failed if error.entity else error
                parts += around(part, error.entity) if repeats > 0 else []
                repeats -= 1
            except TooManyError:
                if len(part) == 1:
                    raise
                limit.lower(len(part), len(self._counters.asked(part[0].type)))
                parts = self._parts([target for some in (*parts, part) for target in some], limit)
        if failed is not None and not found:
            raise failed
        return found

    def _parts(self, targets: Sequence[Target], limit: Limit) -> list[list[Target]]:
        """Return what is asked at once: entities of one type, of which the server has any counter, within the limit."""
        by_type: dict[str, list[Target]] = {}
        for target in targets:
            by_type.setdefault(target.type, []).append(target)
        parts = []
        for kind, some in by_type.items():
            if width := len(self._counters.asked(kind)):
                size = limit.entities(width)
                parts += [some[start : start + size] for start in range(0, len(some), size)]
        return parts

    def _ask(self, part: Sequence[Target], since: Mapping[str, int], end: int) -> list[Found]:
        """Ask once for entities of one type. Blocks."""
        with self._session.errors(), broken(self._session):
            answer = self._session.content.perfManager.QueryPerf(self._specs(part, since, end))
        with self._session.errors():
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


@contextmanager
def broken(session: Session) -> Iterator[None]:
    """Raise BrokenError or TooManyError for what is about that which was asked, and not about the server."""
    vim, vmodl = library().vim, library().vmodl
    try:
        yield
    except vmodl.fault.ManagedObjectNotFound as fault:
        raise BrokenError(_sentence(session, fault), "" if fault.obj is None else object_id(fault.obj)) from fault
    except (vmodl.fault.InvalidArgument, vmodl.fault.SystemError) as fault:
        raise BrokenError(_sentence(session, fault)) from fault
    except vim.fault.RestrictedByAdministrator as fault:
        raise TooManyError(_sentence(session, fault)) from fault
    except ssl.SSLCertVerificationError:  # it is a ValueError, too
        raise
    except (ExpatError, ValueError, TypeError, KeyError, AttributeError) as error:
        # One value that pyvmomi's parser does not take loses all that is in the answer with it.
        raise BrokenError(f"vSphere at {session.where} answered what can't be read: {clean(str(error))}") from error


def around(part: list[Target], entity: str) -> list[list[Target]]:
    """Return what is to be asked again: all but the broken one where it is known, else both halves."""
    rest = [target for target in part if target.id != entity]
    if len(rest) == len(part):
        half = len(part) // 2
        return [part[:half], part[half:]] if half else []
    return [rest] if rest else []


def _sentence(session: Session, fault: Any) -> str:
    return f"vSphere at {session.where} could not answer for what was asked: {fault_text(fault)}"
