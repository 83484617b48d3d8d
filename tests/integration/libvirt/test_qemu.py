"""A real libvirtd with a real Linux guest: what is stored is what libvirt says, and what happens is seen."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fixtures.libvirt import GUEST, MAC, Libvirtd
from fixtures.libvirt_counters import COUNTERS, DISK
from fixtures.waiting import wait_until

from satellite.collectors.libvirt import LibvirtCollector
from satellite.collectors.libvirt.config import LibvirtConfig
from satellite.testing import LocalContext, check_inventory, check_readings
from shared.catalogue import catalogue, state_code
from shared.model import Event, Inventory, Kind, Readings, RelationType, Resource, ResourceKey, SeriesKey, State


@asynccontextmanager
async def opened(uri: str) -> AsyncIterator[LibvirtCollector]:
    collector = LibvirtCollector(LibvirtConfig(uri=uri), LocalContext())
    await collector.open()
    try:
        yield collector
    finally:
        await collector.close()


def samples(readings: Readings, resource: ResourceKey) -> Mapping[SeriesKey, float]:
    return {
        key: value
        for block in readings.blocks
        for key, value in zip(block.layout.series, block.values.tolist(), strict=True)
        if key.resource == resource
    }


def counters(readings: Readings, resource: ResourceKey) -> Mapping[SeriesKey, float]:
    found = samples(readings, resource)
    return {key: value for key, value in found.items() if catalogue()[key.metric].kind == "counter"}


def one(inventory: Inventory, key: ResourceKey) -> Resource:
    return next(resource for resource in inventory.resources if resource.key == key)


def test_counters_lie_between_what_virsh_says_before_and_after(libvirtd: Libvirtd, booted: str) -> None:
    key = ResourceKey(Kind.GUEST, booted)

    async def body() -> None:
        async with opened(libvirtd.uri) as collector:
            for _ in range(3):
                before = libvirtd.domstats()
                readings = await collector.collect("fast")
                after = libvirtd.domstats()
                found = counters(readings, key)
                assert {(series.metric, series.attributes) for series in found} == set(COUNTERS)
                for series, value in found.items():
                    name, unit = COUNTERS[series.metric, series.attributes]
                    low, high = int(before[name]) / unit, int(after[name]) / unit
                    assert low <= value <= high, f"{series}: {value} is not within {low} … {high} of {name}"

    asyncio.run(body())


def test_gauges_of_the_guest(libvirtd: Libvirtd, booted: str) -> None:
    key = ResourceKey(Kind.GUEST, booted)

    async def body() -> None:
        async with opened(libvirtd.uri) as collector:
            readings = await collector.collect("fast")
            values = {(s.metric, s.attributes): value for s, value in samples(readings, key).items()}
            assert values["resource.state", ()] == state_code(State.RUNNING)
            assert values["vm.memory.assigned", ()] == 96 * 2**20
            assert values["vm.memory.ballooned", ()] == 0
            assert values["vm.memory.consumed", ()] > 32 * 2**20
            assert values["system.cpu.logical.count", ()] == 1
            assert values["storage.capacity", (DISK,)] == 8 * 2**20
            assert 0 < values["storage.usage", (DISK,)] <= 8 * 2**20
            limit = values["system.memory.limit", ()]
            assert 0 < limit < 96 * 2**20
            assert 0 < values["system.memory.utilization", ()] < 1
            states = [value for (metric, _), value in values.items() if metric == "system.memory.usage"]
            assert sum(states) == limit

    asyncio.run(body())


def test_inventory_and_capacity(libvirtd: Libvirtd, booted: str) -> None:
    async def body() -> None:
        async with opened(libvirtd.uri) as collector:
            inventory = await collector.discover()
            check_inventory(inventory)
            by_kind = {resource.key.kind: resource for resource in inventory.resources}
            guest, host = by_kind[Kind.GUEST], by_kind[Kind.HOST]
            assert (guest.name, guest.key.key) == (GUEST, booted)
            claims = {(claim.type, claim.value) for claim in guest.claims}
            assert claims == {("instance_uuid", booted), ("dmi_uuid", booted), ("mac", MAC)}
            assert host.state is State.UP
            assert host.attributes["hypervisor.type"] == "QEMU"
            edges = {(relation.source, relation.type, relation.target) for relation in inventory.relations}
            pool, network = by_kind[Kind.DATASTORE], by_kind[Kind.NETWORK]
            assert (guest.key, RelationType.RUNS_ON, host.key) in edges
            assert (guest.key, RelationType.STORED_ON, pool.key) in edges
            assert (guest.key, RelationType.CONNECTED_TO, network.key) in edges
            capacity = await collector.collect("capacity")
            check_readings(capacity, {resource.key for resource in inventory.resources})
            sizes = {series.metric: value for series, value in samples(capacity, pool.key).items()}
            assert sizes["resource.state"] == state_code(State.RUNNING)
            assert sizes["storage.capacity"] == sizes["storage.usage"] + sizes["storage.available"]

    asyncio.run(body())


def test_host_of_the_guests(libvirtd: Libvirtd) -> None:
    async def body() -> None:
        async with opened(libvirtd.uri) as collector:
            host = next(r.key for r in (await collector.discover()).resources if r.key.kind is Kind.HOST)
            await collector.collect("fast")
            await asyncio.to_thread(libvirtd.domstats_all)  # takes longer than a tick of the CPU counters
            found = {(s.metric, s.attributes): v for s, v in samples(await collector.collect("fast"), host).items()}
            assert found["resource.state", ()] == state_code(State.UP)
            assert 0 <= found["system.cpu.utilization", ()] <= 1
            assert found["system.cpu.time", (("cpu.mode", "user"),)] > 0
            memory = [value for (metric, _), value in found.items() if metric == "system.memory.usage"]
            assert sum(memory) == found["system.memory.limit", ()]

    asyncio.run(body())


def test_suspended_guest_stands_still_and_its_life_is_told(libvirtd: Libvirtd, booted: str) -> None:
    key = ResourceKey(Kind.GUEST, booted)

    async def body() -> None:
        async with opened(libvirtd.uri) as collector:
            events: list[Event] = []
            listening = asyncio.create_task(_listen(collector, events))

            async def state() -> tuple[State, str]:
                resource = one(await collector.discover(), key)
                readings = await collector.collect("fast")
                stored = samples(readings, key)[SeriesKey(key, "resource.state")]
                assert stored == state_code(resource.state)
                return resource.state, resource.state_reason

            async def told(event: str) -> None:
                await wait_until(lambda: event in [seen.type for seen in events], 5, f"the event {event}")

            assert await state() == (State.RUNNING, "booted")
            libvirtd.virsh("suspend", GUEST)
            await told("guest.suspended")
            assert await state() == (State.PAUSED, "by user")
            first = counters(await collector.collect("fast"), key)
            second = counters(await collector.collect("fast"), key)
            assert first == second
            assert {(series.metric, series.attributes) for series in first} == set(COUNTERS)
            libvirtd.virsh("resume", GUEST)
            await told("guest.resumed")
            assert await state() == (State.RUNNING, "unpaused")
            libvirtd.virsh("destroy", GUEST)
            await told("guest.stopped")
            assert await state() == (State.STOPPED, "destroyed")
            assert not counters(await collector.collect("fast"), key)
            libvirtd.virsh("start", GUEST)
            await told("guest.started")
            assert await state() == (State.RUNNING, "booted")
            await collector.close()
            await listening
            assert {event.resource for event in events} == {key}
            assert len({event.id for event in events}) == len(events)
            stopped = next(event for event in events if event.type == "guest.stopped")
            assert stopped.message == f"guest {GUEST} stopped: destroyed"

    asyncio.run(body())


async def _listen(collector: LibvirtCollector, events: list[Event]) -> None:
    async for event in collector.events(None):
        events.append(event)  # noqa: PERF401 - seen while it grows
