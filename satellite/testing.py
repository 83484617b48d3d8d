"""The contract-test kit: what every collector must hold, for ours and for third parties' alike.

Subclass CollectorContract as `class TestMine(CollectorContract)` and return an open-able collector from `make`; pytest
runs the rest. The one promise: a collector that passes can be run by the satellite's scheduler as it is.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import numpy as np
import pytest
from pydantic import ValidationError

from satellite.clock import SystemClock
from satellite.collector import Check, Collector, PollPlan, SourceError
from satellite.source_clock import check_clock
from shared.catalogue import catalogue
from shared.model import Action, Event, Inventory, Readings, ResourceKey, SeriesKey

T = TypeVar("T")


class LocalContext:
    """A minimal context: calls run in threads of their own, the clock is this machine's."""

    source = "contract"
    site = "contract"

    def now_ms(self) -> int:
        """Return UTC milliseconds."""
        return time.time_ns() // 1_000_000

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a blocking call in a thread, for 30 seconds at most."""
        async with asyncio.timeout(30):
            return await asyncio.to_thread(function, *arguments)


class CollectorContract(ABC):
    """Tests that any collector passes."""

    @abstractmethod
    def make(self) -> Collector:
        """Return a new collector whose source can be reached."""

    def make_unreachable(self) -> Collector | None:
        """Return a collector whose source can't be reached; None where there is no such thing."""
        return None

    def test_declares_itself(self) -> None:
        """Kind, capabilities, privileges and plans are there, and make sense."""
        collector = self.make()
        assert collector.kind
        assert collector.kind.isidentifier()
        assert {"metrics", "inventory"} & collector.capabilities
        assert all(privilege.name and privilege.enables for privilege in collector.privileges)
        _check_plans(list(collector.plans))

    def test_refuses_unknown_configuration(self) -> None:
        """A key that is not known is an error, never ignored."""
        with pytest.raises(ValidationError):
            type(self.make()).Config.model_validate({"no_such_key": 1})

    def test_inventory_is_whole(self) -> None:
        """Keys are unique, names are there, and each relation joins two resources of the inventory."""
        check_inventory(self._opened(lambda collector: collector.discover()))

    def test_inventory_is_stable(self) -> None:
        """A new connection finds the same keys."""
        first = self._opened(lambda collector: collector.discover())
        second = self._opened(lambda collector: collector.discover())
        assert {resource.key for resource in first.resources} == {resource.key for resource in second.resources}

    def test_readings_fit_catalogue_and_inventory(self) -> None:
        """Each plan's readings have the catalogue's names, attributes and types, on resources of the inventory."""

        async def body(collector: Collector) -> None:
            known = {resource.key for resource in (await collector.discover()).resources}
            for plan in collector.plans:
                check_readings(await collector.collect(plan.name), known)

        self._opened(body)

    def test_layouts_are_kept(self) -> None:
        """While the series stay the same, so does the layout object: ids are cached by it."""

        async def body(collector: Collector) -> None:
            plan = collector.plans[0].name
            earlier = await collector.collect(plan)
            before = {block.layout.metric: block.layout for block in earlier.blocks}
            for block in (await collector.collect(plan)).blocks:
                old = before.get(block.layout.metric)
                assert old is None or old is block.layout or old.series != block.layout.series

        self._opened(body)

    def test_source_clock_is_one(self) -> None:
        """A source that claims a clock tells one that goes on and is told as exactly as it says; others tell none."""

        async def body(collector: Collector) -> None:
            told = [await collector.source_clock() for _ in range(2)]
            if "clock" not in collector.capabilities:
                assert told == [None, None]
                return
            first, second = told
            assert first is not None
            assert second is not None
            assert first.resolution_ms > 0
            assert first.ms <= second.ms
            (line,) = await check_clock(collector, SystemClock())
            assert line.detail

        self._opened(body)

    def test_check_reports(self) -> None:
        """The readiness report has lines, and each says something, whether the source can be reached or not."""
        for collector in filter(None, (self.make(), self.make_unreachable())):
            report: list[Check] = list(asyncio.run(_closing(collector, lambda c: c.check())))
            assert report
            assert all(line.name and line.detail for line in report)
        assert all(line.ok for line in asyncio.run(_closing(self.make(), lambda c: c.check())))

    def test_unreachable_is_a_source_error(self) -> None:
        """What can't be reached is a SourceError with a sentence, and close works all the same."""
        collector = self.make_unreachable()
        if collector is not None:
            with pytest.raises(SourceError, match=r"\w+ \w+ \w+"):
                asyncio.run(_closing(collector, lambda c: c.open()))
            assert not all(line.ok for line in asyncio.run(_closing(collector, lambda c: c.check())))

    def test_unknown_actions_are_refused(self) -> None:
        """A verb that is not in capabilities is refused in the result, in words."""

        async def body(collector: Collector) -> None:
            resource = (await collector.discover()).resources[0].key
            result = await collector.act(Action("1", resource, "no-such-verb"), lambda _share, _what: None)
            assert not result.succeeded
            assert "no-such-verb" in result.message

        self._opened(body)

    def test_close_works_always(self) -> None:
        """Close works without open, twice, within a second; and what was closed can be opened again."""

        async def body() -> None:
            collector = self.make()
            await collector.close()
            for _ in range(2):
                await collector.open()
                assert (await collector.discover()).resources
                async with asyncio.timeout(1.5):
                    await collector.close()
                await collector.close()

        asyncio.run(body())

    def test_events_end_with_close(self) -> None:
        """Whoever listens to events is let go by close."""

        async def body() -> None:
            collector = self.make()
            await collector.open()
            listening = asyncio.create_task(_drain(collector))
            await asyncio.sleep(0)
            await collector.close()
            async with asyncio.timeout(5):
                events = await listening
            assert len({event.id for event in events}) == len(events)

        asyncio.run(body())

    def _opened(self, body: Callable[[Collector], Awaitable[T]]) -> T:
        async def opened(collector: Collector) -> T:
            await collector.open()
            return await body(collector)

        return asyncio.run(_closing(self.make(), opened))


def check_inventory(inventory: Inventory) -> None:
    """Assert that an inventory is whole: unique keys, names, claims, relations between what it holds."""
    keys = [resource.key for resource in inventory.resources]
    assert keys, "the inventory is empty"
    assert len(set(keys)) == len(keys), "a resource stands twice"
    for resource in inventory.resources:
        assert resource.key.key
        assert resource.name
        assert resource.name.isprintable(), f"{resource.name!r} holds control characters"
        assert all(claim.value and 0 < claim.strength <= 100 for claim in resource.claims)
    for relation in inventory.relations:
        assert {relation.source, relation.target} <= set(keys), f"{relation} leaves the inventory"
    assert len(set(inventory.relations)) == len(inventory.relations), "a relation stands twice"


def check_readings(readings: Readings, known: set[ResourceKey]) -> None:
    """Assert that readings fit the catalogue, and belong to known resources."""
    assert len(readings.times), "no instant"
    assert (np.diff(readings.times) > 0).all(), "the instants do not ascend"
    _check_once(readings)
    for block in readings.blocks:
        metric = catalogue()[block.layout.metric]
        series = block.layout.series
        assert len(set(series)) == len(series), f"a series of {metric.name} stands twice"
        expected = len(series) * (len(readings.times) if block.instants is None else 1)
        assert len(block.values) == expected, f"{metric.name}: {len(block.values)} values for {expected} places"
        assert block.values.dtype == (np.int64 if metric.integer else np.float64), f"{metric.name}: value type"
        assert np.isfinite(block.values).all(), f"{metric.name}: a value is not finite"
        if block.starts is not None:
            newest = int(readings.times[-1]) + 300_000
            assert metric.kind == "counter", f"{metric.name}: only a counter has start times"
            assert block.starts.dtype == np.int64, f"{metric.name}: start times"
            assert len(block.starts) == len(series), f"{metric.name}: {len(block.starts)} start times"
            assert ((block.starts >= 0) & (block.starts <= newest)).all(), f"{metric.name}: a start in the future"
        if metric.kind == "state":
            assert set(block.values.tolist()) <= set(metric.codes), f"{metric.name}: a code is not known"
        if metric.kind == "counter":
            assert (block.values >= 0).all(), f"{metric.name}: a counter is negative"
        for key in series:
            names = [name for name, _ in key.attributes]
            assert key.metric == metric.name
            assert key.resource in known, f"{key.resource} is not in the inventory"
            assert key.resource.kind in metric.resources, f"{metric.name} of a {key.resource.kind}"
            assert names == sorted(set(names)), f"{metric.name}: attributes are not sorted"
            assert set(names) <= set(metric.attributes), f"{metric.name}: {names}"


def _check_plans(plans: list[PollPlan]) -> None:
    assert plans
    assert len({plan.name for plan in plans}) == len(plans)
    assert [plan.interval for plan in plans] == sorted(plan.interval for plan in plans), "fastest first"
    assert all(0 < plan.deadline <= plan.interval for plan in plans)


async def _closing(collector: Collector, body: Callable[[Collector], Awaitable[T]]) -> T:
    try:
        return await body(collector)
    finally:
        await collector.close()


def _check_once(readings: Readings) -> None:
    """Assert that no series has two values at an instant; a metric may stand in several blocks."""
    seen: set[tuple[SeriesKey, int]] = set()
    for block in readings.blocks:
        for place, key in enumerate(block.layout.series):
            own = range(len(readings.times)) if block.instants is None else [int(block.instants[place])]
            assert seen.isdisjoint((key, instant) for instant in own), f"{key} has two values at an instant"
            seen.update((key, instant) for instant in own)


async def _drain(collector: Collector) -> list[Event]:
    return [event async for event in collector.events(None) if isinstance(event, Event)]
