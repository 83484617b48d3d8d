"""How a source does: its state and cost for the heartbeat, why it fails, and how long it is left alone after that.

The one promise: an outage is logged once when it begins and once when it ends, and so is that a plan is stretched.
"""

import logging
from dataclasses import dataclass
from typing import Final

from satellite.clock import Clock
from satellite.collector import PollPlan, SourceDeniedError, SourceError, SourceUnreachableError
from satellite.stretch import Stretch
from satellite.threads import SourceBusyError
from shared.model import GapReason

_log = logging.getLogger(__name__)
LONGEST_BACKOFF: Final = 60.0  # seconds
_REOPEN_AFTER: Final = 3  # failures of a plan in a row
_TOLD: Final = 100  # sentences of an outage that are logged
_REASONS: Final = (
    (SourceUnreachableError, GapReason.UNREACHABLE),
    (SourceDeniedError, GapReason.DENIED),
    (SourceBusyError, GapReason.OVERRUN),
    (SourceError, GapReason.ERROR),
)


@dataclass(slots=True)
class Cost:
    """What asking the source took, since start."""

    last_success_ms: int = 0
    cycle_seconds: float = 0.0
    errors: int = 0
    overruns: int = 0
    samples: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a cycle gave nothing."""

    reason: GapReason
    sentence: str

    @property
    def of_source(self) -> bool:
        """Whether no plan would have got an answer."""
        return self.reason in (GapReason.UNREACHABLE, GapReason.DENIED)


PAUSED: Final = Failure(GapReason.MAINTENANCE, "collection was paused on purpose")


class SourceHealth:
    """State, cost and failures in a row of one source."""

    def __init__(self, source: str, clock: Clock) -> None:
        self.state, self.message = "opening", ""
        self.cost = Cost()
        self._source, self._clock = source, clock
        self.failure = PAUSED  # the last one
        self._failures: dict[str, int] = {}  # in a row, by plan
        self._failing_since = 0
        self._told: set[str] = set()
        self._stretched: set[str] = set()

    @property
    def paused(self) -> bool:
        """Whether the source is left alone on purpose."""
        return self.state == "paused"

    def backoff(self, plan: str, fastest: float) -> float:
        """Return how many seconds a failing plan is left alone; 0 if it works.

        It begins with the interval of the source's fastest plan, and doubles with each failure in a row.
        """
        failures = self._failures.get(plan, 0)
        return min(fastest * 2.0 ** min(failures - 1, 10), LONGEST_BACKOFF) if failures else 0.0

    def failed(self, plan: str, failure: Failure) -> bool:
        """Note a cycle that gave nothing; return whether the source is to be closed and opened anew."""
        self.failure = failure
        self._failures[plan] = self._failures.get(plan, 0) + 1
        self.cost.errors += 1
        self.cost.overruns += failure.reason is GapReason.OVERRUN
        if not self._failing_since:
            self._failing_since = self._clock.now_ms()
        if failure.sentence not in self._told and len(self._told) < _TOLD:
            self._told.add(failure.sentence)
            _log.warning("source %s fails (%s): %s", self._source, failure.reason.value, failure.sentence)
        self.state, self.message = "failing", failure.sentence
        return failure.of_source or self._failures[plan] >= _REOPEN_AFTER

    def answered(self, plan: str, samples: int) -> None:
        """Note a cycle whose samples are spooled; the source is well once no plan fails any more."""
        self.cost.samples += samples
        self.cost.last_success_ms = self._clock.now_ms()
        self._failures.pop(plan, None)
        if self._failures:
            return
        if self._failing_since:
            seconds = (self._clock.now_ms() - self._failing_since) / 1000
            _log.info("source %s answers again after %.0f s", self._source, seconds)
        self._begin("ok")

    def asked(self, plan: PollPlan, stretch: Stretch) -> None:
        """Note how often a plan is asked from now on."""
        if (stretch.factor > 1) == (plan.name in self._stretched):
            return
        self._stretched ^= {plan.name}
        _log.info(
            "source %s: plan %s is asked every %g s, as configured every %g s: its last cycle took the source %.1f s",
            *(self._source, plan.name, stretch.interval, plan.interval, stretch.seconds),
        )

    def pause(self) -> None:
        """Note that the source is left alone."""
        _log.info("source %s is paused", self._source)
        self._begin("paused", PAUSED.sentence)

    def resume(self) -> None:
        """Note that the source is asked again."""
        _log.info("source %s is resumed", self._source)
        self._begin("opening")

    def _begin(self, state: str, message: str = "") -> None:
        self.state, self.message, self._failing_since = state, message, 0
        self._failures.clear()
        self._told.clear()


def failure_of(error: Exception, collector: str, plan: PollPlan) -> Failure:
    """Return what an error of a cycle means, and in words that say whose it is."""
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return Failure(reason, str(error))
    if isinstance(error, TimeoutError):
        return Failure(GapReason.OVERRUN, f"plan {plan.name} did not end within {plan.deadline:g} s")
    sentence = f"the {collector} collector failed unexpectedly: {type(error).__name__}: {error}"
    return Failure(GapReason.ERROR, sentence)
