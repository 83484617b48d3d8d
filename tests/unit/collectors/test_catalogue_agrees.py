"""The catalogue and the collectors agree, both ways: nothing is emitted that is not in it, nothing in it is idle."""

import asyncio
from types import SimpleNamespace

import psutil
import pytest
from fixtures.libvirt_answers import answer, guest
from fixtures.vsphere_answers import entities, statistics

from satellite.blocks import Blocks
from satellite.collectors.host import HostCollector
from satellite.collectors.host.config import HostConfig
from satellite.collectors.libvirt.metrics import GuestMetrics, HostMetrics, add_storage
from satellite.collectors.libvirt.storage import Network, Pool
from satellite.collectors.vsphere.described import Measured
from satellite.collectors.vsphere.picture import Picture
from satellite.collectors.vsphere.state import States
from satellite.testing import LocalContext, check_readings
from shared.catalogue import catalogue
from shared.model import Inventory, Kind, Readings, Resource, ResourceKey, State


def host(monkeypatch: pytest.MonkeyPatch) -> Readings:
    """Collect from this machine; only the hardware that a virtual machine lacks is made up."""
    sensors = {"coretemp": [SimpleNamespace(label="Core 0", current=41.5)]}
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: sensors)
    monkeypatch.setattr(psutil, "swap_memory", lambda: SimpleNamespace(total=100, used=25, free=75, sin=7, sout=8))
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 2)  # noqa: ARG005 - some machines don't tell it

    async def body() -> Readings:
        collector = HostCollector(HostConfig(), LocalContext())
        await collector.open()
        readings = await collector.collect("fast")
        check_readings(readings, {resource.key for resource in (await collector.discover()).resources})
        return readings

    return asyncio.run(body())


def hypervisor() -> Readings:
    """Return the readings of a recorded answer of libvirt, with a pool and a network."""
    blocks, metrics = Blocks(), HostMetrics(ResourceKey(Kind.HOST, "h"))
    metrics.add(Blocks(), answer(()))
    metrics.add(blocks, answer((guest(),), idle=200))
    GuestMetrics(10).add(blocks, answer((guest(),)))
    pool = Pool("p", "store", State.RUNNING, "/pool", (3, 1, 2))
    add_storage(blocks, (pool,), (Network("n", "lan", State.RUNNING, "br0"),))
    readings = blocks.readings(1)
    keys = {ResourceKey(kind, key) for kind, key in ((Kind.HOST, "h"), (Kind.DATASTORE, "p"), (Kind.NETWORK, "n"))}
    check_readings(readings, keys | {ResourceKey(Kind.GUEST, guest().uuid)})
    return readings


def vsphere() -> Readings:
    """Return the readings of one entity of each type of vSphere, with all of the vendor's counters."""
    readings = statistics()
    check_readings(readings, {target.key for target in entities()} | {ResourceKey(Kind.CLUSTER, "vsan")})
    return readings


def inventoried() -> Readings:
    """Return what the inventory of vSphere tells of one object of each kind."""
    machine = Measured(logical_cpus=4, physical_cpus=2, memory=2**30)
    guest_too = Measured(logical_cpus=4, memory=2**30, snapshots=1, oldest_snapshot_ms=1)
    kinds = (Kind.SERVICE, Kind.CLUSTER, Kind.POOL, Kind.DATASTORE, Kind.NETWORK, Kind.HOST, Kind.GUEST)
    resources = [Resource(ResourceKey(kind, "one"), "one") for kind in kinds]
    picture = Picture(
        Inventory(resources),
        measured=[(each, guest_too if each.key.kind is Kind.GUEST else machine) for each in resources],
    )
    readings = States().readings(picture, 1_700_000_000_000)
    check_readings(readings, {resource.key for resource in resources})
    return readings


def test_every_metric_resource_kind_and_attribute_is_emitted_and_none_else(monkeypatch: pytest.MonkeyPatch) -> None:
    series = [
        key
        for each in (host(monkeypatch), hypervisor(), vsphere(), inventoried())
        for block in each.blocks
        for key in block.layout.series
    ]
    emitted = {metric: (set[Kind](), set[str]()) for metric in (key.metric for key in series)}
    for key in series:
        kinds, attributes = emitted[key.metric]
        kinds.add(key.resource.kind)
        attributes.update(name for name, _ in key.attributes)
    promised = {metric.name: (set(metric.resources), set(metric.attributes)) for metric in catalogue().values()}
    assert emitted == promised
