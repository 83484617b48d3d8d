"""What a collector is: the one interface between a platform and the rest of the satellite.

A collector is a folder below satellite/collectors, an entry point of the group `nephoscope.collectors`, and passes
tests/contract. It holds no threads of its own and never talks to the spool: it returns values of shared.model.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from shared.model import Action, ActionResult, Event, Inventory, Readings

T = TypeVar("T")
Progress = Callable[[float, str], None]  # how much of an action is done (0 to 1), and what happens now


class SourceError(Exception):
    """The source could not be asked. The message says what, where and how to fix it."""


class SourceUnreachableError(SourceError):
    """No answer: the scheduler backs off and the gap's reason is `unreachable`."""


class SourceDeniedError(SourceError):
    """Credentials or permissions: the scheduler backs off and the gap's reason is `denied`."""


class CollectorConfig(BaseModel):
    """A source's table of satellite.toml: a collector adds its fields, unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class PollPlan:
    """What is asked of a source at one interval (seconds). The deadline is never above the interval."""

    name: str
    interval: float
    deadline: float


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the readiness report: what was tried, whether it holds, and the fix in words where it does not."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class SourceTime:
    """What a source's own clock said: UTC milliseconds, cut to a resolution (1000 where it tells whole seconds)."""

    ms: int
    resolution_ms: int = 1


@dataclass(frozen=True, slots=True)
class Privilege:
    """A permission that a collector needs, and what does not work without it."""

    name: str
    enables: str


@dataclass(frozen=True, slots=True)
class Load:
    """What a source was asked since the start: calls, bytes both ways, and the seconds that it took to answer them."""

    calls: int
    bytes: int
    seconds: float


class Context(Protocol):
    """What the satellite gives to a collector."""

    source: str
    site: str

    def now_ms(self) -> int:
        """Return UTC milliseconds by the satellite's clock."""
        ...

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a blocking call in one of the source's at most two threads, under the deadline of what is under way.

        Raises TimeoutError past the deadline, and SourceError while earlier calls still hold both threads.
        """
        ...


class Collector(ABC):
    """One kind of source, one object per configured source; no method runs twice at once, but events runs beside."""

    kind: ClassVar[str]
    Config: ClassVar[type[CollectorConfig]]
    capabilities: ClassVar[frozenset[str]]  # of: metrics, inventory, events, clock, and the verbs of act
    privileges: ClassVar[Sequence[Privilege]]
    open_seconds: ClassVar[float] = 10.0  # that open and discover may take; a plan's deadline where that is longer

    def __init__(self, config: CollectorConfig, context: Context) -> None:
        self.config = config
        self.context = context

    @property
    @abstractmethod
    def plans(self) -> Sequence[PollPlan]:
        """The poll plans, fastest first. Inventory is discovered with the slowest and after each open and event."""

    @abstractmethod
    async def open(self) -> None:
        """Connect. Raises SourceError; may be called again after close."""

    @abstractmethod
    async def check(self) -> Sequence[Check]:
        """Return the readiness report: reachability, TLS, clock, credentials, privileges. Never raises SourceError."""

    @abstractmethod
    async def discover(self) -> Inventory:
        """Return everything the source holds. Raises SourceError: half an inventory is never returned."""

    @abstractmethod
    async def collect(self, plan: str) -> Readings:
        """Return the readings of a plan. A broken object is left out, it never fails the cycle. Raises SourceError."""

    @abstractmethod
    def events(self, after: str | None) -> AsyncIterator[Event | Inventory]:
        """Yield events as they happen, until closed. A source without events yields none and ends at once.

        after is the position of the newest event that is safe in the spool, also of an earlier run; None where there is
        none. A collector whose source keeps a history gives its events positions and goes on right behind that one.
        While the disk is full the iterator is not asked on: what the source has meanwhile, it keeps. A source that
        tells by itself what changes yields the whole inventory anew, as discover would return it.
        """

    def load(self) -> Load | None:
        """Return what the source was asked since the start; None where the collector does not count it."""
        return None

    @property
    def budget(self) -> float:
        """The share of the time for which the source may be kept busy; the intervals are stretched to hold it."""
        return 1.0

    async def source_clock(self) -> SourceTime | None:
        """Return what the source's own clock says now, by one short call; None where it has none. Raises SourceError.

        It is asked once a minute where `clock` is among the capabilities.
        """
        return None

    @abstractmethod
    async def act(self, action: Action, progress: Progress) -> ActionResult:
        """Carry out an action whose verb is in capabilities; refuses others in the result. Raises SourceError.

        With dry_run nothing is changed, and the result says whether it would be allowed and would work.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let go of everything. Works without open, works twice, and never blocks for longer than a second."""
