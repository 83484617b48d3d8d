"""libvirt's statistics become the catalogue's readings, whatever is missing or wrong in them."""

import asyncio

import numpy as np
import pytest
from fixtures.libvirt_answers import MAC, UUID, answer, guest

from satellite.blocks import Blocks
from satellite.collectors.libvirt.client import Guest
from satellite.collectors.libvirt.events import EventFeed
from satellite.collectors.libvirt.freshness import Freshness
from satellite.collectors.libvirt.metrics import GuestMetrics, HostMetrics
from satellite.collectors.libvirt.states import guest_state, lifecycle, pool_state
from satellite.collectors.libvirt.tables import whole
from satellite.testing import check_readings
from shared.catalogue import state_code
from shared.model import Event, Kind, Readings, ResourceKey, Severity, State

KEY = ResourceKey(Kind.GUEST, UUID)
HOST = ResourceKey(Kind.HOST, "here")


def readings(*guests: Guest, metrics: GuestMetrics | None = None) -> Readings:
    blocks = Blocks()
    (metrics or GuestMetrics(10)).add(blocks, answer(guests))
    found = blocks.readings(1000)
    check_readings(found, {ResourceKey(Kind.GUEST, one.uuid) for one in guests})
    return found


def values(found: Readings) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (key.metric, key.attributes): value
        for block in found.blocks
        for key, value in zip(block.layout.series, block.values.tolist(), strict=True)
    }


def test_units_and_names() -> None:
    found = values(readings(guest()))
    assert found["vm.cpu.time", ()] == 2.0
    assert found["vm.cpu.time", (("cpu.logical_number", "1"),)] == 1.0
    assert found["vm.cpu.ready.time", (("cpu.logical_number", "0"),)] == 9e-9
    assert found["vm.memory.assigned", ()] == 96 * 2**20
    assert found["vm.memory.ballooned", ()] == 32 * 2**20
    assert found["system.memory.limit", ()] == 62012 * 1024
    assert found["system.memory.usage", (("system.memory.state", "used"),)] == (62012 - 35104 - 2488) * 1024
    assert found["system.memory.utilization", ()] == pytest.approx(1 - 41440 / 62012)
    assert found["system.network.io", (("network.interface.name", MAC), ("network.io.direction", "transmit"))] == 11
    assert found["vm.disk.flush.time", (("system.device", "vda"),)] == 318707 / 1e9


def test_a_stopped_guest_has_a_state_and_nothing_else() -> None:
    assert values(readings(guest(state__state=5))) == {("resource.state", ()): state_code(State.STOPPED)}


def test_without_a_balloon_driver_its_values_are_absent() -> None:
    for silent in (guest(balloon__last_update=0), guest(balloon__available=None, balloon__usable=None)):
        found = values(readings(silent))
        assert ("system.memory.limit", ()) not in found
        assert ("system.memory.utilization", ()) not in found
        assert found["vm.memory.assigned", ()] == 96 * 2**20


def test_a_container_driver_without_virtual_cpus_tells_the_total() -> None:
    found = values(readings(guest(vcpu__maximum=None)))
    assert found["vm.cpu.time", ()] == 5727240000 / 1e9


def test_wrong_values_are_left_out_and_the_rest_stays() -> None:
    strange = guest(block__0__rd__bytes=2**64 - 1, block__0__wr__bytes="many", net__0__rx__bytes=-1)
    found = values(readings(strange, guest("11111111-0000-4000-8000-000000000001")))
    read, write = ((("disk.io.direction", way), ("system.device", "vda")) for way in ("read", "write"))
    assert ("system.disk.operations", read) in found
    blocks = {block.layout.metric: block for block in readings(strange).blocks}
    assert "system.disk.io" not in blocks
    assert found["system.disk.io", read] == found["system.disk.io", write] == 12
    assert len(blocks["system.network.io"].values) == 1


def test_a_lying_count_does_not_make_series_without_end() -> None:
    found = readings(guest(vcpu__maximum=10**9, block__count=10**9, net__count="x"))
    assert sum(len(block.values) for block in found.blocks) < 100


def test_counters_above_2_to_the_53_stay_exact() -> None:
    found = values(readings(guest(net__0__rx__bytes=2**62 + 1)))
    assert (
        found["system.network.io", (("network.interface.name", MAC), ("network.io.direction", "receive"))] == 2**62 + 1
    )


def test_layouts_stay_while_the_guests_do() -> None:
    metrics, blocks = GuestMetrics(10), Blocks()

    def layouts(*guests: Guest) -> dict[str, object]:
        metrics.add(blocks, answer(guests))
        return {block.layout.metric: block.layout for block in blocks.readings(1).blocks}

    first, second = layouts(guest()), layouts(guest(cpu__time=6 * 10**9))
    assert first == second
    third = layouts(guest(), guest("11111111-0000-4000-8000-000000000001"))
    assert all(third[metric] is not first[metric] for metric in first)
    fourth = layouts(guest(block__0__rd__bytes=None), guest("11111111-0000-4000-8000-000000000001"))
    assert fourth["system.disk.io"] is not third["system.disk.io"]
    assert fourth["system.network.io"] is third["system.network.io"]


def test_host_utilization_is_measured_between_cycles() -> None:
    metrics = HostMetrics(HOST)

    def cycle(idle: int, user: int) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        blocks = Blocks()
        metrics.add(blocks, answer((), idle, user))
        found = blocks.readings(1)
        check_readings(found, {HOST})
        return values(found)

    assert ("system.cpu.utilization", ()) not in cycle(100, 10)
    found = cycle(130, 20)
    assert found["system.cpu.utilization", ()] == 0.25
    assert found["system.memory.usage", (("system.memory.state", "used"),)] == 300 * 1024
    assert ("system.cpu.utilization", ()) not in cycle(130, 20)


def test_the_balloon_goes_stale_when_it_is_not_renewed() -> None:
    now = [0.0]
    freshness = Freshness(10, lambda: now[0])
    assert freshness.fresh(guest())
    now[0] = 60.0
    assert freshness.fresh(guest())
    now[0] = 60.1
    assert not freshness.fresh(guest())
    assert freshness.fresh(guest(balloon__last_update=1795392500))
    freshness.keep(set())
    assert freshness.fresh(guest())


def test_whole_takes_only_whole_numbers() -> None:
    assert whole([], 3).shape == (0, 3)
    assert whole([(1, 2)], 2).tolist() == [[1, 2]]
    mixed = whole([(1, "x"), (2**63, True), (2**63 - 1, 1.5), (None, -7)], 2)
    assert mixed.dtype == np.int64
    assert mixed.tolist() == [[1, -1], [-1, -1], [2**63 - 1, -1], [-1, -1]]


def test_unknown_numbers_have_words() -> None:
    assert guest_state(1, 1) == (State.RUNNING, "booted")
    assert guest_state(2, 99) == (State.RUNNING, "")
    assert guest_state(99, 0) == (State.UNKNOWN, "")
    assert guest_state(-1, 0) == (State.UNKNOWN, "")
    assert pool_state(7) is State.UNKNOWN
    assert lifecycle(42, 0) == ("guest.changed", "", Severity.INFO)
    assert lifecycle(3, 2) == ("guest.suspended", "I/O error", Severity.WARNING)


def test_events_that_are_too_many_are_counted() -> None:
    async def body() -> list[Event]:
        feed = EventFeed()
        feed.open()
        for number in range(1500):
            feed.offer(feed.make(number, UUID, "n\nl", 2, 0))
        await asyncio.sleep(0)
        feed.close()
        return [event async for event in feed.events()]

    events = asyncio.run(body())
    lost = [event for event in events if event.type == "source.events_lost"]
    started = [event for event in events if event.type == "guest.started"]
    assert sum(int(event.attributes["lost"]) for event in lost) + len(started) == 1500
    assert started[0].message == "guest n l started: booted"
    assert len({event.id for event in events}) == len(events)


def test_events_start_anew_after_close() -> None:
    async def body() -> list[str]:
        feed = EventFeed()
        feed.close()
        feed.open()
        feed.offer(feed.make(1, UUID, "n", 5, 1))
        await asyncio.sleep(0)
        found = [await anext(feed.events())]
        feed.close()
        feed.offer(feed.make(2, UUID, "n", 2, 0))
        return [event.type for event in found]

    assert asyncio.run(body()) == ["guest.stopped"]
