"""One source: opened, polled at its plans' instants, discovered, listened to, paused; one task, one thing at a time.

The one promise: a source that fails, hangs or lies costs only itself, and every instant it missed becomes a gap.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Final

from satellite import encoding
from satellite.clock import STEP_MS, Clock, StepWatch, apart_ms, stamp
from satellite.collector import Collector, PollPlan, SourceDeniedError, SourceError, SourceUnreachableError
from satellite.coverage import Ends
from satellite.inventory import InventoryTracker
from satellite.planned import Planned, set_event
from satellite.series import Series
from satellite.source_clock import SourceClock
from satellite.spool_errors import SpoolFullError
from satellite.threads import SourceBusyError, SourceThreads, within
from shared.model import Event, Gap, GapReason, Readings
from shared.pb import inventory_pb2, uplink_pb2

_log = logging.getLogger(__name__)
_Arrived = tuple[Event, uplink_pb2.ClockStamp]  # when, by both clocks
Put = Callable[[uplink_pb2.Frame], Awaitable[None]]

_LOOK: Final = 1.0  # seconds between two looks at whether the source is paused
_DISCOVER_EVERY: Final = 60.0
_AFTER_EVENT: Final = 0.5  # seconds from an event to the inventory that it changed
_EVENTS_WITHIN: Final = 0.2  # seconds that events wait for company
_EVENTS_AT_ONCE: Final = 500
_EVENTS_WAITING: Final = 20_000
_LONGEST_BACKOFF: Final = 60.0
_REOPEN_AFTER: Final = 3  # failures in a row
_SHORTEST_OPEN: Final = 10.0  # seconds for open and discover, where the plans allow less
_CLOSE_WITHIN: Final = 1.0
_PAUSED: Final = "collection was paused on purpose"


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


class SourceRunner:
    """Runs one source until its task is cancelled."""

    def __init__(
        self,
        name: str,
        collector: Collector,
        threads: SourceThreads,
        series: Series,
        put: Put,
        clock: Clock,
        pause_file: Path,
        ends: Ends,
    ) -> None:
        """Take the source's collector and threads, and where its frames go; ends tells where an earlier run ended."""
        self.name = name
        self.collector = collector
        self.cost = Cost()
        self.state, self.message = "opening", ""
        self._threads, self._series, self._put, self._clock, self._pause_file = threads, series, put, clock, pause_file
        self._tracker = InventoryTracker(name)
        now = clock.now_ms()
        self._steps = StepWatch(clock)
        self._source_clock = SourceClock(clock)
        self._plans = [Planned.of(name, plan, ends.get((name, plan.name), 0), now) for plan in collector.plans]
        # Where the clock went back while the satellite was off, by how much at least.
        self._went_back = max(item.newest_ms for item in self._plans) - now
        self._open = False
        self._failures = 0
        self._failing_since = 0
        self._discover_at: float | None = None  # monotonic seconds; None: not before the source is open
        self._listener: asyncio.Task[None] | None = None
        self._poke = asyncio.Event()
        self._full_wanted = False
        self._told: set[str] = set()

    async def run(self) -> None:
        """Run until cancelled."""
        try:
            if self._went_back > STEP_MS:
                await self._tell_set(-self._went_back, while_off=True)
            while True:
                await self._step()
        finally:
            await self._shut()

    def send_full_inventory(self) -> None:
        """Send everything that was last seen once more: the metaconsole may have missed the changes."""
        self._full_wanted = True
        self._poke.set()

    def ends(self) -> Ends:
        """Return how far each plan is accounted for."""
        return {(self.name, item.plan.name): item.coverage.until_ms for item in self._plans}

    def status(self) -> uplink_pb2.SourceStatus:
        """Return state and cost for the heartbeat."""
        offset = self._source_clock.offset()
        return uplink_pb2.SourceStatus(
            source=self.name,
            collector=self.collector.kind,
            state=self.state,
            message=encoding.clean(self.message, 1000),
            last_success_ms=self.cost.last_success_ms,
            cycle_seconds=self.cost.cycle_seconds,
            interval_seconds=min(item.plan.interval for item in self._plans),
            calls=self._threads.calls,
            errors=self.cost.errors,
            overruns=self.cost.overruns,
            samples=self.cost.samples,
            cpu_seconds=self._threads.cpu_seconds,
            clock_offset_ms=round(offset.ms) if offset else 0,
            clock_uncertainty_ms=math.ceil(offset.uncertainty_ms) if offset else 0,
        )

    # --- what is due

    async def _step(self) -> None:
        await self._look_at_clock()
        now = self._clock.now_ms()
        paused = self._pause_file.exists()
        if paused != (self.state == "paused"):
            await self._pause() if paused else self._resume(now)
        if self._full_wanted:
            await self._send_full()
        due = min(self._plans, key=lambda item: item.due_ms)
        if due.due_ms <= now:
            await (self._account(due, Failure(GapReason.MAINTENANCE, _PAUSED)) if paused else self._cycle(due))
            self._schedule(due)
        elif self._open and self._discover_at is not None and self._discover_at <= self._clock.monotonic():
            await self._discover()
        else:
            await self._idle(due.due_ms - now)

    async def _idle(self, milliseconds: int) -> None:
        seconds = min(_LOOK, milliseconds / 1000)
        if self._open and self._discover_at is not None:
            seconds = min(seconds, self._discover_at - self._clock.monotonic())
        await self._clock.wait(self._poke, max(seconds, 0.001))
        self._poke.clear()

    def _schedule(self, item: Planned) -> None:
        item.due_ms = item.slots.after(self._clock.now_ms())
        if self._failures and self.state != "paused":
            fastest = min(plan.plan.interval for plan in self._plans)
            wait = min(fastest * 2.0 ** min(self._failures - 1, 10), _LONGEST_BACKOFF)
            for plan in self._plans:
                plan.due_ms = max(plan.due_ms, plan.slots.after(self._clock.now_ms() + round(wait * 1000) - 1000))

    # --- a cycle

    async def _cycle(self, item: Planned) -> None:
        start = self._clock.monotonic()
        try:
            await self._ensure_open()
            began = stamp(self._clock)
            start = self._clock.monotonic()
            async with within(item.plan.deadline):
                readings = await self.collector.collect(item.plan.name)
        except Exception as error:  # noqa: BLE001 - whatever a collector does, it does to its own source only
            self.cost.cycle_seconds = self._clock.monotonic() - start
            await self._failed(item, self._why(error, item.plan))
            return
        self.cost.cycle_seconds = self._clock.monotonic() - start
        frames = await self._series.frames(self.name, item.plan, readings, began.monotonic_ns)
        moment = self._moment(began, readings)
        if moment is not began:
            await self._look_at_clock()
        offset = self._source_clock.offset() if readings.by_source_clock else None
        for frame in frames:
            frame.stamped.CopyFrom(moment)
            frame.batch.discontinuous = item.breaks(readings)
            frame.batch.source_offset_ms = round(offset.ms) if offset else 0
        await self._keep(item, frames, readings, moment.now_ms)

    def _moment(self, began: uplink_pb2.ClockStamp, readings: Readings) -> uplink_pb2.ClockStamp:
        """Return the clock by which readings were stamped: as the cycle began, or as it is now where it was set."""
        ended = stamp(self._clock)
        if abs(apart_ms(began, ended)) < STEP_MS or not len(readings.times):
            return began
        newest = int(readings.times[-1])
        return min(began, ended, key=lambda moment: abs(moment.now_ms - newest))

    async def _keep(self, item: Planned, frames: Sequence[uplink_pb2.Frame], readings: Readings, began_ms: int) -> None:
        gaps = item.coverage.gaps_before(began_ms)
        self.cost.overruns += sum(gap.reason is GapReason.OVERRUN for gap in gaps)
        try:
            # The gap first: were it lost to a crash, nothing would tell the next run that it is missing.
            await self._put_gaps(gaps)
            for frame in frames:
                await self._put(frame)
        except SpoolFullError as error:
            item.coverage.blame(GapReason.DROPPED, "the spool's disk was full")
            self._tell(str(error))
            return
        item.coverage.saw(began_ms)
        if frames:
            item.stored(readings.times)
        self.cost.samples += sum(_samples(frame) for frame in frames)
        self.cost.last_success_ms = self._clock.now_ms()
        self._recovered()

    def _recovered(self) -> None:
        if self._failing_since:
            seconds = (self._clock.now_ms() - self._failing_since) / 1000
            _log.info("source %s answers again after %.0f s", self.name, seconds)
        self.state, self.message, self._failures, self._failing_since = "ok", "", 0, 0

    async def _failed(self, item: Planned, failure: Failure) -> None:
        self._failures += 1
        self.cost.errors += 1
        self.cost.overruns += failure.reason is GapReason.OVERRUN
        if not self._failing_since:
            self._failing_since = self._clock.now_ms()
        if self.message != failure.sentence:
            _log.warning("source %s fails (%s): %s", self.name, failure.reason.value, failure.sentence)
        self.state, self.message = "failing", failure.sentence
        await self._account(item, failure)
        if failure.reason in (GapReason.UNREACHABLE, GapReason.DENIED) or self._failures >= _REOPEN_AFTER:
            await self._shut()

    async def _account(self, item: Planned, failure: Failure) -> None:
        now = self._clock.now_ms()
        gaps = item.coverage.gaps_until(now, failure.reason, failure.sentence)
        try:
            await self._put_gaps(gaps)
        except SpoolFullError as error:
            self._tell(str(error))
            return
        item.coverage.missed(now, failure.reason, failure.sentence)

    async def _put_gaps(self, gaps: Sequence[Gap]) -> None:
        if gaps:
            await self._put(encoding.gaps_frame(self.name, gaps))

    async def _look_at_clock(self) -> None:
        if step := self._steps.look():
            await self._tell_set(step)

    async def _tell_set(self, step_ms: int, *, while_off: bool = False) -> None:
        """Go on by a clock that was set, and say so."""
        now = self._clock.now_ms()
        event = set_event(self._steps, now, step_ms, while_off=while_off)
        _log.warning("source %s: %s", self.name, event.message)
        gaps = [gap for item in self._plans for gap in item.clock_was_set(now, event.message)]
        try:
            await self._put(encoding.events_frame(self.name, [event]))
            await self._put_gaps(gaps)
        except SpoolFullError as error:
            self._tell(str(error))

    def _why(self, error: Exception, plan: PollPlan) -> Failure:
        if isinstance(error, SourceUnreachableError):
            return Failure(GapReason.UNREACHABLE, str(error))
        if isinstance(error, SourceDeniedError):
            return Failure(GapReason.DENIED, str(error))
        if isinstance(error, SourceBusyError):
            return Failure(GapReason.OVERRUN, str(error))
        if isinstance(error, SourceError):
            return Failure(GapReason.ERROR, str(error))
        if isinstance(error, TimeoutError):
            if not self._open:
                return Failure(GapReason.UNREACHABLE, f"the source did not open within {self._open_seconds():g} s")
            return Failure(GapReason.OVERRUN, f"plan {plan.name} did not end within {plan.deadline:g} s")
        sentence = f"the {self.collector.kind} collector failed unexpectedly: {type(error).__name__}: {error}"
        if sentence not in self._told:
            self._tell(sentence, error)
        return Failure(GapReason.ERROR, sentence)

    def _tell(self, sentence: str, error: Exception | None = None) -> None:
        if sentence not in self._told and len(self._told) < 1000:
            self._told.add(sentence)
            _log.error("source %s: %s (told once)", self.name, sentence, exc_info=error)

    # --- opening, closing, pausing

    def _open_seconds(self) -> float:
        return max(_SHORTEST_OPEN, *(item.plan.deadline for item in self._plans))

    async def _ensure_open(self) -> None:
        if self._open:
            return
        async with within(self._open_seconds()):
            await self.collector.open()
        self._open = True
        self._discover_at = self._clock.monotonic()
        if "events" in self.collector.capabilities:
            self._listener = asyncio.create_task(self._listen(), name=f"events of {self.name}")

    async def _shut(self) -> None:
        self._open, self._discover_at = False, None
        if self._listener is not None:
            self._listener.cancel()
            self._listener = None
        try:
            async with asyncio.timeout(_CLOSE_WITHIN):
                await self.collector.close()
        except Exception as error:  # noqa: BLE001 - it is let go of whatever it says
            self._tell(f"closing failed: {type(error).__name__}: {error}", error)

    async def _pause(self) -> None:
        _log.info("source %s is paused", self.name)
        await self._shut()
        self.state, self.message, self._failures, self._failing_since = "paused", _PAUSED, 0, 0

    def _resume(self, now_ms: int) -> None:
        _log.info("source %s is resumed", self.name)
        self.state, self.message = "opening", ""
        for item in self._plans:
            item.due_ms = now_ms
            item.coverage.blame(GapReason.MAINTENANCE, _PAUSED)

    # --- inventory and events

    async def _discover(self) -> None:
        self._discover_at = self._clock.monotonic() + _DISCOVER_EVERY
        try:
            async with within(self._open_seconds()):
                inventory = await self.collector.discover()
                await self._source_clock.measure(self.collector)
            deltas = self._tracker.update(inventory, self._clock.now_ms())
        except Exception as error:  # noqa: BLE001 - as for a cycle
            self.cost.errors += 1
            self._tell(
                f"its inventory could not be read: {type(error).__name__}: {error}",
                None if isinstance(error, SourceError | TimeoutError) else error,
            )
            return
        await self._put_inventory(deltas)

    async def _send_full(self) -> None:
        self._full_wanted = False
        await self._put_inventory(self._tracker.full())

    async def _put_inventory(self, deltas: Sequence[inventory_pb2.InventoryDelta]) -> None:
        try:
            for delta in deltas:
                await self._put(uplink_pb2.Frame(inventory=delta))
        except SpoolFullError as error:
            self._full_wanted = True
            self._tell(str(error))

    async def _listen(self) -> None:
        waiting: list[_Arrived] = []
        arrived = asyncio.Event()
        sender = asyncio.create_task(self._send_events(waiting, arrived), name=f"event sender of {self.name}")
        wait = 1.0
        try:
            while True:
                try:
                    async with aclosing(self.collector.events()) as events:  # type: ignore[type-var]
                        async for event in events:
                            arrived.set()
                            if len(waiting) >= _EVENTS_WAITING:  # the disk is full, and memory is not to follow
                                self._tell(f"more than {_EVENTS_WAITING} events wait: newer ones are left out")
                                continue
                            waiting.append((event, stamp(self._clock)))
                            wait = 1.0
                    break
                except Exception as error:  # noqa: BLE001 - as for a cycle
                    self._tell(
                        f"its events ended: {type(error).__name__}: {error}",
                        None if isinstance(error, SourceError) else error,
                    )
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LONGEST_BACKOFF)
            await sender
        finally:
            sender.cancel()

    async def _send_events(self, waiting: list[_Arrived], arrived: asyncio.Event) -> None:
        while True:
            await arrived.wait()
            await asyncio.sleep(_EVENTS_WITHIN)
            arrived.clear()
            if self._discover_at is not None:
                self._discover_at = min(self._discover_at, self._clock.monotonic() + _AFTER_EVENT)
            self._poke.set()
            while waiting:
                some = _by_one_clock(waiting[:_EVENTS_AT_ONCE])
                frame = encoding.events_frame(self.name, [event for event, _ in some])
                frame.stamped.CopyFrom(some[0][1])
                try:
                    await self._put(frame)
                except SpoolFullError as error:
                    self._tell(str(error))
                    break
                del waiting[: len(some)]


def _by_one_clock(events: Sequence[_Arrived]) -> Sequence[_Arrived]:
    """Return the first events, up to where the clock was set."""
    first = events[0][1]
    return list(takewhile(lambda item: abs(apart_ms(first, item[1])) < STEP_MS, events))


def _samples(frame: uplink_pb2.Frame) -> int:
    return sum(block.values.count for block in frame.batch.blocks)
