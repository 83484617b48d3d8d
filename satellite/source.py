"""One source: opened, polled at its plans' instants, discovered, listened to, paused; one task, one thing at a time.

The one promise: a source that fails, hangs or lies costs only itself, and every instant it missed becomes a gap.
"""

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from satellite import encoding
from satellite.clock import Clock, stamp
from satellite.clock_set import ClockSet
from satellite.collector import Collector, SourceError, SourceUnreachableError
from satellite.coverage import Ends
from satellite.planned import Planned
from satellite.series import Series
from satellite.source_clock import SourceClock
from satellite.source_events import SourceEvents
from satellite.source_health import PAUSED, Failure, SourceHealth, failure_of
from satellite.source_inventory import SourceInventory
from satellite.source_load import SourceLoad
from satellite.source_output import Put, SourceOutput
from satellite.spool_errors import SpoolFullError
from satellite.threads import SourceThreads, within
from shared.model import GapReason, Readings
from shared.pb import uplink_pb2

_LOOK: Final = 1.0  # seconds between two looks at whether the source is paused
_CLOSE_WITHIN: Final = 1.0


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
        position: str | None = None,
    ) -> None:
        """Take the source's collector and threads, and where its frames go; ends and position are an earlier run's."""
        self.name = name
        self.collector = collector
        self._threads, self._series, self._clock, self._pause_file = threads, series, clock, pause_file
        now = clock.now_ms()
        self._plans = [Planned.of(name, plan, ends.get((name, plan.name), 0), now) for plan in collector.plans]
        self._open_seconds = max(collector.open_seconds, *(item.plan.deadline for item in self._plans))
        self._output = SourceOutput(name, put)
        self._health = SourceHealth(name, clock)
        self._clock_set = ClockSet(clock, self._plans, self._output)
        self._source_clock = SourceClock(clock)
        self._load = SourceLoad(collector, threads, clock)
        self._inventory = SourceInventory(collector, self._output, clock, self._source_clock)
        self._events = SourceEvents(
            collector, self._output, clock, self._inventory.take, self._something_happened, position
        )
        self._open = False
        self._poke = asyncio.Event()

    async def run(self) -> None:
        """Run until cancelled."""
        try:
            await self._clock_set.begin()
            while True:
                await self._step()
        finally:
            await self._shut()

    def send_full_inventory(self) -> None:
        """Send everything that was last seen once more: the metaconsole may have missed the changes."""
        self._inventory.full_wanted = True
        self._poke.set()

    def ends(self) -> Ends:
        """Return how far each plan is accounted for."""
        return {(self.name, item.plan.name): item.coverage.until_ms for item in self._plans}

    def position(self) -> str | None:
        """Return where its events go on; None where they have no history."""
        return self._events.position

    def status(self) -> uplink_pb2.SourceStatus:
        """Return state and cost for the heartbeat."""
        offset, cost = self._source_clock.offset(), self._health.cost
        calls, octets, busy = self._load.per_minute()
        return uplink_pb2.SourceStatus(
            source=self.name,
            collector=self.collector.kind,
            state=self._health.state,
            message=encoding.clean(self._health.message, 1000),
            last_success_ms=cost.last_success_ms,
            cycle_seconds=cost.cycle_seconds,
            interval_seconds=self._fastest(),
            calls=self._threads.calls,
            errors=cost.errors,
            overruns=cost.overruns,
            samples=cost.samples,
            cpu_seconds=self._threads.cpu_seconds,
            clock_offset_ms=round(offset.ms) if offset else 0,
            clock_uncertainty_ms=math.ceil(offset.uncertainty_ms) if offset else 0,
            plans=[item.status() for item in self._plans],
            calls_per_minute=calls,
            bytes_per_minute=octets,
            busy_per_minute=busy,
            budget=self.collector.budget,
        )

    # --- what is due

    async def _step(self) -> None:
        await self._clock_set.look()
        self._load.look()
        now = self._clock.now_ms()
        paused = self._pause_file.exists()
        if paused != self._health.paused:
            await self._pause() if paused else self._resume(now)
        if self._inventory.full_wanted:
            await self._inventory.send_full()
        due = min(self._plans, key=lambda item: item.due_ms)
        if due.due_ms <= now:
            steps = await (self._account(due, PAUSED) if paused else self._cycle(due))
            self._schedule(due, now, steps)
        elif self._inventory.due <= self._clock.monotonic():
            if not await self._inventory.discover(self._open_seconds):
                self._health.cost.errors += 1
        else:
            await self._idle(due.due_ms - now)

    async def _idle(self, milliseconds: int) -> None:
        seconds = min(_LOOK, milliseconds / 1000, self._inventory.due - self._clock.monotonic())
        await self._clock.wait(self._poke, max(seconds, 0.001))
        self._poke.clear()

    def _something_happened(self) -> None:
        self._inventory.hasten()
        self._poke.set()

    def _schedule(self, item: Planned, began_ms: int, steps: int) -> None:
        now = self._clock.now_ms()
        item.schedule(began_ms, now, steps)
        wait = self._health.backoff(item.plan.name, self._fastest())
        if not wait:
            return
        from_ms = now + round(wait * 1000) - 1000
        if self._open:
            item.due_ms = max(item.due_ms, item.slots.after(from_ms))
            return
        for plan in self._plans:
            plan.postpone(from_ms, self._health.failure)
        # What failed is tried as soon as anything is, however rare it is.
        item.due_ms = min(item.due_ms, self._plans[0].slots.after(from_ms))

    def _fastest(self) -> float:
        return min(item.plan.interval for item in self._plans)

    # --- a cycle

    async def _cycle(self, item: Planned) -> int:
        """Ask what is due; return after how many of the plan's intervals it is asked again."""
        start = self._clock.monotonic()
        try:
            await self._ensure_open()
            began, before = stamp(self._clock), self._load.now()
            start = self._clock.monotonic()
            async with within(item.stretch.deadline):
                readings = await self.collector.collect(item.plan.name)
        except Exception as error:  # noqa: BLE001 - whatever a collector does, it does to its own source only
            self._took(start)
            return await self._failed(item, error)
        self._took(start)
        item.took(self._load.now().seconds - before.seconds, self.collector.budget, self._plans)
        self._health.asked(item.plan, item.stretch)
        try:
            frames = await self._series.frames(self.name, item.asked, readings, began.monotonic_ns)
        except SpoolFullError as error:  # for new series
            self._no_room(item, error)
            return item.stretch.factor
        moment = await self._clock_set.moment(began, readings)
        offset = self._source_clock.offset() if readings.by_source_clock else None
        for frame in frames:
            frame.stamped.CopyFrom(moment)
            frame.batch.discontinuous = item.breaks(readings)
            frame.batch.source_offset_ms = round(offset.ms) if offset else 0
        await self._keep(item, frames, readings, moment.now_ms)
        return item.stretch.factor

    def _took(self, start: float) -> None:
        cost = self._health.cost
        cost.cycle_seconds = self._clock.monotonic() - start
        self._load.add(cost.cycle_seconds)

    async def _keep(self, item: Planned, frames: Sequence[uplink_pb2.Frame], readings: Readings, began_ms: int) -> None:
        gaps = item.gaps_before(began_ms, readings)
        self._health.cost.overruns += sum(gap.reason is GapReason.OVERRUN for gap in gaps)
        # The gap first: were it lost to a crash, nothing would tell the next run that it is missing.
        if not await self._output.put(*self._output.gaps(gaps), *frames):
            self._no_room(item)
            return
        item.coverage.saw(began_ms, item.stretch.factor)
        if frames:
            item.stored(readings.times)
        self._health.answered(
            item.plan.name, sum(block.values.count for frame in frames for block in frame.batch.blocks)
        )

    def _no_room(self, item: Planned, error: SpoolFullError | None = None) -> None:
        item.coverage.blame(GapReason.DROPPED, "the spool's disk was full")
        if error is not None:
            self._output.tell(str(error))

    async def _failed(self, item: Planned, error: Exception) -> int:
        failure = failure_of(error, self.collector.kind, item.asked)
        if not isinstance(error, SourceError | TimeoutError):
            self._output.tell(failure.sentence, error)
        reopens = self._health.failed(item.plan.name, failure)
        if overran := isinstance(error, TimeoutError):
            item.stretch.overran()
            self._health.asked(item.plan, item.stretch)
        now = self._clock.now_ms()
        for plan in self._plans:
            if plan is item or (failure.of_source and plan.due_ms <= now):
                await self._account(plan, failure)
        if reopens:
            await self._shut()
        return item.stretch.factor if overran else 1

    async def _account(self, item: Planned, failure: Failure) -> int:
        now = self._clock.now_ms()
        gaps = item.coverage.gaps_until(now, failure.reason, failure.sentence)
        if await self._output.put(*self._output.gaps(gaps)):
            item.coverage.missed(now, failure.reason, failure.sentence)
        return 1

    # --- opening, closing, pausing

    async def _ensure_open(self) -> None:
        if self._open:
            return
        try:
            async with within(self._open_seconds):
                await self.collector.open()
        except TimeoutError as error:
            sentence = f"the source did not open within {self._open_seconds:g} s"
            raise SourceUnreachableError(sentence) from error
        self._open = True
        self._inventory.begin()
        self._events.begin()

    async def _shut(self) -> None:
        self._open = False
        self._inventory.end()
        self._events.end()
        try:
            async with asyncio.timeout(_CLOSE_WITHIN):
                await self.collector.close()
        except Exception as error:  # noqa: BLE001 - it is let go of whatever it says
            self._output.tell(f"closing failed: {type(error).__name__}: {error}", error)

    async def _pause(self) -> None:
        await self._shut()
        self._health.pause()

    def _resume(self, now_ms: int) -> None:
        self._health.resume()
        for item in self._plans:
            item.due_ms = now_ms
            item.coverage.blame(PAUSED.reason, PAUSED.sentence)
