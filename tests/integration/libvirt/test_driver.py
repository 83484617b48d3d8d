"""libvirt's test driver, whose state lives in the collector's own connection: inventory, states, events, names."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import libvirt
import pytest
from fixtures.waiting import wait_until

from satellite.collectors.libvirt import LibvirtCollector
from satellite.collectors.libvirt.config import LibvirtConfig
from satellite.collectors.libvirt.states import lifecycle
from satellite.testing import LocalContext, check_inventory, check_readings
from shared.model import Event, Kind, Relation, RelationType, Resource, ResourceKey, Severity, State

HOSTILE = "<script>alert(1)<script> \u202e'; DROP TABLE resources;-- 名前"
UUIDS = ("11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000002")
POOL, NETWORK = "22222222-0000-4000-8000-000000000001", "33333333-0000-4000-8000-000000000001"
NODE = f"""\
<node>
  <cpu><mhz>2000</mhz><model>test</model><active>4</active><nodes>1</nodes><sockets>1</sockets><cores>2</cores>
    <threads>2</threads></cpu>
  <memory>8388608</memory>
  <domain type='test'>
    <name>plain</name><uuid>{UUIDS[0]}</uuid><memory>262144</memory><vcpu>2</vcpu>
    <os><type arch='x86_64'>hvm</type><boot dev='hd'/></os>
    <devices>
      <disk type='file' device='disk'><source file='/pool/inner/a.img'/><target dev='vda' bus='virtio'/></disk>
      <disk type='volume' device='disk'><source pool='store' volume='b'/><target dev='vdb' bus='virtio'/></disk>
      <interface type='network'><mac address='52:54:00:00:00:01'/><source network='lan'/><target dev='tap0'/>
      </interface>
      <interface type='network'><mac address='52:54:00:00:00:01'/><source network='lan'/><target dev='tap1'/>
      </interface>
      <memballoon model='virtio'/>
    </devices>
  </domain>
  <domain type='test'>
    <name>{HOSTILE.replace("<", "&lt;").replace(">", "&gt;")}</name><uuid>{UUIDS[1]}</uuid><memory>65536</memory>
    <vcpu>1</vcpu><title>line\tone</title><os><type arch='x86_64'>hvm</type></os>
  </domain>
  <pool type='dir'><name>store</name><uuid>{POOL}</uuid><target><path>/pool</path></target></pool>
  <network><name>lan</name><uuid>{NETWORK}</uuid><bridge name='virbr7'/><ip address='10.9.0.1' netmask='255.255.255.0'/>
  </network>
</node>
"""


@pytest.fixture
def node(tmp_path: Path) -> str:
    path = tmp_path / "node.xml"
    path.write_text(NODE, encoding="utf-8")
    return f"test://{path}"


@asynccontextmanager
async def opened(uri: str) -> AsyncIterator[LibvirtCollector]:
    collector = LibvirtCollector(LibvirtConfig(uri=uri), LocalContext())
    await collector.open()
    try:
        yield collector
    finally:
        await collector.close()


async def resources(collector: LibvirtCollector) -> dict[ResourceKey, Resource]:
    return {resource.key: resource for resource in (await collector.discover()).resources}


def test_inventory_of_a_node(node: str) -> None:
    async def body() -> None:
        async with opened(node) as collector:
            inventory = await collector.discover()
            check_inventory(inventory)
            found = {resource.key: resource for resource in inventory.resources}
            plain, pool, network = (
                ResourceKey(Kind.GUEST, UUIDS[0]),
                ResourceKey(Kind.DATASTORE, POOL),
                ResourceKey(Kind.NETWORK, NETWORK),
            )
            assert found[plain].state is State.RUNNING
            assert found[pool].attributes["storage.path"] == "/pool"
            assert found[network].attributes["network.bridge"] == "virbr7"
            assert Relation(plain, RelationType.STORED_ON, pool) in inventory.relations
            assert Relation(plain, RelationType.CONNECTED_TO, network) in inventory.relations
            for plan in collector.plans:
                check_readings(await collector.collect(plan.name), set(found))

    asyncio.run(body())


def test_hostile_names_are_kept_as_text(node: str) -> None:
    async def body() -> None:
        async with opened(node) as collector:
            hostile = (await resources(collector))[ResourceKey(Kind.GUEST, UUIDS[1])]
            assert hostile.name == HOSTILE.replace("\u202e", " ")  # what turns the writing's direction is dropped
            assert hostile.attributes["guest.title"] == "line one"

    asyncio.run(body())


def test_two_cards_with_one_address_are_two_series(node: str) -> None:
    async def body() -> None:
        async with opened(node) as collector:
            readings = await collector.collect("fast")
            block = next(block for block in readings.blocks if block.layout.metric == "system.network.io")
            names = {dict(series.attributes)["network.interface.name"] for series in block.layout.series}
            assert names == {"52:54:00:00:00:01", "tap1"}

    asyncio.run(body())


def test_states_and_events_of_the_own_connection(node: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libvirt, "openReadOnly", libvirt.open)  # the test rules the guests of this very connection
    key = ResourceKey(Kind.GUEST, UUIDS[0])

    async def body() -> None:
        async with opened(node) as collector:
            events: list[Event] = []
            listening = asyncio.create_task(_listen(collector, events))
            domain = collector._client.connection.lookupByUUIDString(UUIDS[0])
            steps = (
                (domain.suspend, State.PAUSED, "by user", "guest.suspended"),
                (domain.resume, State.RUNNING, "unpaused", "guest.resumed"),
                (domain.destroy, State.STOPPED, "destroyed", "guest.stopped"),
                (domain.create, State.RUNNING, "booted", "guest.started"),
            )
            for number, (act, state, reason, event) in enumerate(steps, 1):
                act()
                await wait_until(lambda wanted=number: len(events) >= wanted, 5, f"the event {event}")  # type: ignore[misc]
                found = (await resources(collector))[key]
                assert (found.state, found.state_reason) == (state, reason)
                assert (events[-1].type, events[-1].resource) == (event, key)
            await collector.close()
            await listening
            assert len({event.id for event in events}) == len(steps)

    asyncio.run(body())


async def _listen(collector: LibvirtCollector, events: list[Event]) -> None:
    async for event in collector.events(None):
        events.append(event)  # noqa: PERF401 - seen while it grows


def test_a_definition_is_fetched_once(node: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []
    original = libvirt.virDomain.XMLDesc

    def counted(domain: libvirt.virDomain, flags: int = 0) -> str:
        fetched.append(domain.UUIDString())
        text: str = original(domain, flags)
        return text

    monkeypatch.setattr(libvirt.virDomain, "XMLDesc", counted)

    async def body() -> None:
        async with opened(node) as collector:
            for _ in range(3):
                await collector.collect("fast")
                await collector.discover()
            assert sorted(fetched) == sorted(UUIDS)
            collector._client.forget(UUIDS[0])
            await collector.collect("fast")
            assert fetched.count(UUIDS[0]) == 2
            assert fetched.count(UUIDS[1]) == 1

    asyncio.run(body())


def test_a_broken_guest_costs_nobody_else(node: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = libvirt.virDomain.info

    def broken(domain: libvirt.virDomain) -> list[int]:
        if domain.UUIDString() == UUIDS[1]:
            raise libvirt.libvirtError("broken")
        found: list[int] = original(domain)
        return found

    monkeypatch.setattr(libvirt.virDomain, "info", broken)

    async def body() -> None:
        async with opened(node) as collector:
            readings = await collector.collect("fast")
            states = next(block for block in readings.blocks if block.layout.metric == "resource.state")
            guests = [key.resource.key for key in states.layout.series if key.resource.kind is Kind.GUEST]
            assert guests == [UUIDS[0]]

    asyncio.run(body())


def test_the_words_for_events_are_libvirts() -> None:
    words = {
        "guest.defined": "DEFINED",
        "guest.undefined": "UNDEFINED",
        "guest.started": "STARTED",
        "guest.suspended": "SUSPENDED",
        "guest.resumed": "RESUMED",
        "guest.stopped": "STOPPED",
        "guest.shutdown": "SHUTDOWN",
        "guest.slept": "PMSUSPENDED",
        "guest.crashed": "CRASHED",
    }
    for kind, name in words.items():
        number = getattr(libvirt, f"VIR_DOMAIN_EVENT_{name}")
        prefix = f"VIR_DOMAIN_EVENT_{name}_"
        details = [getattr(libvirt, constant) for constant in dir(libvirt) if constant.startswith(prefix)]
        assert details
        assert all(lifecycle(number, detail)[0] == kind and lifecycle(number, detail)[1] for detail in details)
    crashed = lifecycle(libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED)
    assert crashed == ("guest.stopped", "crashed", Severity.CRITICAL)
