"""The collector of the accounting test: its values are the oracle's pure function of (resource, metric, instant)."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar, Final

import numpy as np
from fixtures import accounting

from satellite.collector import Check, Collector, CollectorConfig, Context, PollPlan, Privilege
from shared.columns import F64, I64
from shared.model import (
    Action,
    ActionResult,
    Event,
    Inventory,
    Kind,
    Layout,
    ReadingBlock,
    Readings,
    Resource,
    ResourceKey,
    SeriesKey,
    State,
)

EVENT_SECONDS: Final = 0.5


class LedgerCollector(Collector):
    """Two plans: `fast` has one instant a batch; `slow` has two, and each resource shows at one of them."""

    kind: ClassVar[str] = "ledger"
    Config: ClassVar[type[CollectorConfig]] = CollectorConfig
    capabilities: ClassVar[frozenset[str]] = frozenset({"metrics", "inventory", "events"})
    privileges: ClassVar[Sequence[Privilege]] = ()

    def __init__(self, config: CollectorConfig, context: Context) -> None:
        super().__init__(config, context)
        self._layouts: dict[tuple[SeriesKey, ...], Layout] = {}

    @property
    def plans(self) -> Sequence[PollPlan]:
        return (PollPlan("fast", 0.5, 0.4), PollPlan("slow", 1.0, 0.8))

    async def open(self) -> None:
        """Nothing to connect to."""

    async def check(self) -> Sequence[Check]:
        return ()

    async def discover(self) -> Inventory:
        names = [
            accounting.resource_name(self.context.source, plan.name, number)
            for plan in self.plans
            for number in range(accounting.resources(self.context.source))
        ]
        return Inventory([Resource(ResourceKey(Kind.HOST, name), name, State.UP) for name in names])

    async def collect(self, plan: str) -> Readings:
        now = self.context.now_ms()
        times = [now] if plan == "fast" else [now - 250, now]
        shown = accounting.present(self.context.source, plan, times)
        keys = [
            (key, index) for number, index in shown for key in accounting.series_of(self.context.source, plan, number)
        ]
        return Readings(
            np.array(times, dtype=np.int64),
            [
                self._block(metric, [pair for pair in keys if pair[0].metric == metric], times)
                for metric in (accounting.FRACTION, accounting.COUNTER)
            ],
        )

    def _block(self, metric: str, keys: Sequence[tuple[SeriesKey, int]], times: Sequence[int]) -> ReadingBlock:
        series = tuple(key for key, _ in keys)
        layout = self._layouts.setdefault(series, Layout(metric, series))
        named = [accounting.seed_of(key.resource.key, key.metric, key.attributes) for key in series]
        seeds = np.array(named, dtype=np.uint64)
        index = np.array([index for _, index in keys], dtype=np.int64)
        at = np.array(times, dtype=np.int64)[index]
        values: F64 | I64 = (accounting.fractions if metric == accounting.FRACTION else accounting.counts)(seeds, at)
        return ReadingBlock(layout, values, index if len(times) > 1 else None)

    async def events(self, after: str | None = None) -> AsyncIterator[Event]:  # noqa: ARG002 - 0.1.0 names none
        while True:
            await asyncio.sleep(EVENT_SECONDS)
            yield Event(str(uuid.uuid4()), self.context.now_ms(), "ledger.written", "a line was written")

    async def act(self, action: Action, progress: object = None) -> ActionResult:  # noqa: ARG002 - nor this
        return ActionResult(succeeded=False, message=f"a ledger does not {action.verb}")

    async def close(self) -> None:
        """Nothing to let go of."""
        self._layouts.clear()


class SlowLedgerCollector(LedgerCollector):
    """The same at intervals of minutes, for days that pass in seconds. Deadlines are seconds of the machine's clock."""

    @property
    def plans(self) -> Sequence[PollPlan]:
        return (PollPlan("fast", 300, 60), PollPlan("slow", 600, 60))
