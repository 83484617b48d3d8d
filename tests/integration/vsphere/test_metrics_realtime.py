"""Statistics of hosts and guests, against the simulator: each value is what the server says, each sample once."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import pytest
from fixtures.vsphere import Vsphere
from fixtures.vsphere_client import session, succeeded, view
from fixtures.vsphere_statistics import Samples, Vendor, call, opened, samples_of, targets_of
from pyVmomi import vim

from satellite.collector import SourceError
from satellite.collectors.vsphere.realtime import INTERVAL, Realtime
from satellite.collectors.vsphere.session import Session
from satellite.collectors.vsphere.targets import Target
from satellite.testing import check_readings
from shared.model import Readings

READ, WRITE = ("disk.io.direction", "read"), ("disk.io.direction", "write")
RECEIVE, TRANSMIT = ("network.io.direction", "receive"), ("network.io.direction", "transmit")
# What the vendor's counters are to us: metric and fixed attributes, and what an instance is called.
GUEST: Final = {
    "sys.uptime.latest": ("system.uptime", (), ""),
    "cpu.usage.average": ("system.cpu.utilization", (), ""),
    "cpu.usagemhz.average": ("system.cpu.usage", (), ""),
    "cpu.ready.summation": ("vm.cpu.ready.utilization", (), ""),
    "cpu.costop.summation": ("vm.cpu.costop.utilization", (), ""),
    "mem.usage.average": ("vm.memory.utilization", (), ""),
    "mem.consumed.average": ("vm.memory.consumed", (), ""),
    "mem.granted.average": ("vm.memory.granted", (), ""),
    "mem.active.average": ("vm.memory.active", (), ""),
    "mem.vmmemctl.average": ("vm.memory.ballooned", (), ""),
    "mem.swapped.average": ("vm.memory.swapped", (), ""),
    "mem.compressed.average": ("vm.memory.compressed", (), ""),
    "virtualDisk.read.average": ("system.disk.io.rate", (READ,), "system.device"),
    "virtualDisk.write.average": ("system.disk.io.rate", (WRITE,), "system.device"),
    "virtualDisk.numberReadAveraged.average": ("system.disk.operations.rate", (READ,), "system.device"),
    "virtualDisk.numberWriteAveraged.average": ("system.disk.operations.rate", (WRITE,), "system.device"),
    "virtualDisk.totalReadLatency.average": ("system.disk.latency", (READ,), "system.device"),
    "virtualDisk.totalWriteLatency.average": ("system.disk.latency", (WRITE,), "system.device"),
    "net.received.average": ("system.network.io.rate", (RECEIVE,), ""),
    "net.transmitted.average": ("system.network.io.rate", (TRANSMIT,), ""),
    "net.droppedRx.summation": ("system.network.packet.dropped.rate", (RECEIVE,), "network.interface.name"),
    "net.droppedTx.summation": ("system.network.packet.dropped.rate", (TRANSMIT,), "network.interface.name"),
    "power.power.average": ("hw.power", (), ""),
}
USED = ("system.memory.state", "used")
HOST: Final = {
    "sys.uptime.latest": ("system.uptime", (), ""),
    "cpu.usage.average": ("system.cpu.utilization", (), ""),
    "cpu.usagemhz.average": ("system.cpu.usage", (), ""),
    "mem.usage.average": ("system.memory.utilization", (), ""),
    "mem.consumed.average": ("system.memory.usage", (USED,), ""),
    "mem.granted.average": ("vm.memory.granted", (), ""),
    "mem.active.average": ("vm.memory.active", (), ""),
    "mem.vmmemctl.average": ("vm.memory.ballooned", (), ""),
    "mem.swapused.average": ("vm.memory.swapped", (), ""),
    "disk.read.average": ("system.disk.io.rate", (READ,), ""),
    "disk.write.average": ("system.disk.io.rate", (WRITE,), ""),
    "datastore.numberReadAveraged.average": ("storage.operations.rate", (READ,), "storage.datastore"),
    "datastore.numberWriteAveraged.average": ("storage.operations.rate", (WRITE,), "storage.datastore"),
    "datastore.totalReadLatency.average": ("storage.latency", (READ,), "storage.datastore"),
    "datastore.totalWriteLatency.average": ("storage.latency", (WRITE,), "storage.datastore"),
    "net.received.average": ("system.network.io.rate", (RECEIVE,), "network.interface.name"),
    "net.transmitted.average": ("system.network.io.rate", (TRANSMIT,), "network.interface.name"),
    "net.droppedRx.summation": ("system.network.packet.dropped.rate", (RECEIVE,), "network.interface.name"),
    "net.droppedTx.summation": ("system.network.packet.dropped.rate", (TRANSMIT,), "network.interface.name"),
    "power.power.average": ("hw.power", (), ""),
}


@pytest.fixture
def ours(vcenter: Vsphere) -> Iterator[Session]:
    """Return our session at the module's vCenter."""
    with opened(vcenter) as made:
        yield made


@pytest.fixture
def plain(vcenter: Vsphere) -> Iterator[Any]:
    """Return a plain client's content."""
    with session(vcenter) as instance:
        yield instance.content


def collect(realtime: Realtime, ours: Session, targets: Sequence[Target]) -> Readings:
    readings = asyncio.run(realtime.collect(call, ours, targets))
    check_readings(readings, {target.key for target in targets})
    assert readings.by_source_clock
    return readings


def expected(vendor: Vendor, target: Target, times: Sequence[int]) -> Samples:
    table = GUEST if target.type == "VirtualMachine" else HOST
    found = {}
    values = vendor.values(target, table, times, INTERVAL)
    for (name, instance, moment), value in values.items():
        metric, attributes, device = table[name]
        if not instance or device:
            named = (*attributes, (device, instance[:128])) if instance else attributes
            found[target.id, metric, tuple(sorted(named)), moment] = value
    return found


def test_each_value_is_what_the_server_says_in_base_units(ours: Session, plain: Any) -> None:
    targets = targets_of(plain, "HostSystem", "VirtualMachine")
    readings = collect(Realtime(), ours, targets)
    assert len(readings.times) == 3
    assert all(block.instants is None for block in readings.blocks)  # what is complete is a matrix
    found = samples_of(readings)
    wanted: dict[Any, float] = {}
    vendor = Vendor(plain)
    for target in targets:
        wanted |= expected(vendor, target, readings.times.tolist())
    assert found.keys() == wanted.keys()
    assert all(found[name] == pytest.approx(value, rel=1e-12) for name, value in wanted.items())
    metrics = {name[1] for name in found}
    assert metrics >= {metric for metric, _, _ in (*GUEST.values(), *HOST.values())}


def test_what_was_seen_does_not_come_again_and_layouts_stay(vcenter: Vsphere, ours: Session, plain: Any) -> None:
    realtime, targets = Realtime(), targets_of(plain, "HostSystem", "VirtualMachine")
    first = collect(realtime, ours, targets)
    again = collect(realtime, ours, targets)
    assert int(again.times[-1]) - int(first.times[-1]) in (0, 20_000)
    vcenter.knobs(clock_seconds=60)
    later = collect(realtime, ours, targets)
    every = [samples_of(readings) for readings in (first, again, later)]
    assert sum(map(len, every)) == len(set().union(*every))
    assert len(every[1]) + len(every[2]) in (3 * len(every[0]) // 3, 4 * len(every[0]) // 3)
    before = {block.layout.metric: block.layout for block in first.blocks}
    assert len(before) == len(first.blocks)
    assert all(before[block.layout.metric] is block.layout for block in later.blocks)


def test_late_values_come_with_a_later_cycle_and_once(vcenter: Vsphere, ours: Session, plain: Any) -> None:
    realtime, targets = Realtime(), targets_of(plain, "HostSystem", "VirtualMachine")
    vcenter.knobs(late_seconds={"VirtualMachine": 120})
    first = samples_of(collect(realtime, ours, targets))
    assert {name[0] for name in first} == {target.id for target in targets if target.type == "HostSystem"}
    vcenter.knobs(clock_seconds=120, late_seconds={"VirtualMachine": 20})
    second = collect(realtime, ours, targets)
    vcenter.knobs(clock_seconds=120)
    third = collect(realtime, ours, targets)
    assert len(second.times) >= 7  # since the first cycle, for what was not there then
    assert any(block.instants is not None for block in second.blocks)
    whole = collect(Realtime(), ours, targets)
    every = [first, samples_of(second), samples_of(third)]
    assert sum(map(len, every)) == len(set().union(*every))
    found = {name: value for part in every for name, value in part.items()}
    assert samples_of(whole).items() <= found.items()
    guest = next(target for target in targets if target.type == "VirtualMachine")
    moments = sorted({name[3] for name in found if name[0] == guest.id})
    assert [b - a for a, b in pairwise(moments)] == [20_000] * (len(moments) - 1)


def test_no_more_than_fifteen_samples_are_looked_for(vcenter: Vsphere, ours: Session, plain: Any) -> None:
    realtime, targets = Realtime(), targets_of(plain, "VirtualMachine")
    collect(realtime, ours, targets)
    vcenter.knobs(clock_seconds=1800)
    assert len(collect(realtime, ours, targets).times) == 15


def test_values_that_cannot_be_are_absent_and_cost_nothing_else(vcenter: Vsphere, ours: Session, plain: Any) -> None:
    targets = targets_of(plain, "VirtualMachine")
    vcenter.knobs(nan=["cpu.usage.average"], negative=["mem.active.average"])
    metrics = {name[1] for name in samples_of(collect(Realtime(), ours, targets))}
    assert metrics == {metric for metric, _, _ in GUEST.values()} - {"system.cpu.utilization", "vm.memory.active"}


def test_what_vanished_costs_only_itself_and_a_call(vcenter: Vsphere, ours: Session, plain: Any) -> None:
    targets = targets_of(plain, "VirtualMachine")
    gone = [
        view(plain, vim.VirtualMachine)
        .view[place]
        .Clone(
            folder=plain.rootFolder.childEntity[0].vmFolder,
            name=f"gone-{place}",
            spec=vim.vm.CloneSpec(location=vim.vm.RelocateSpec(), powerOn=False, template=False),
        )
        for place in (0, 1)
    ]
    clones = [succeeded(task) for task in gone]
    stale = [Target("VirtualMachine", each._moId, targets[0].key, 1) for each in clones]
    for each in clones:
        succeeded(each.Destroy())
    realtime = Realtime()
    vcenter.traffic(reset=True)
    found = samples_of(collect(realtime, ours, [*targets[:3], stale[0], *targets[3:], stale[1]]))
    assert {name[0] for name in found} == {target.key.key for target in targets}
    assert vcenter.traffic()["QueryPerf"]["calls"] == 3
    assert samples_of(collect(realtime, ours, stale)) == {}


def test_a_server_that_fails_for_some_entities_gives_the_others(vcenter: Vsphere, ours: Session, plain: Any) -> None:
    targets = targets_of(plain, "VirtualMachine")
    keys = {target.id for target in targets}
    vcenter.knobs(fault={"QueryPerf": "SystemError"}, times={"QueryPerf": 2})
    assert {name[0] for name in samples_of(collect(Realtime(), ours, targets))} == keys
    # Where it fails for more than can be told apart in some calls, the rest comes with the next cycle.
    realtime = Realtime()
    vcenter.knobs(fault={"QueryPerf": "SystemError"}, times={"QueryPerf": 65})
    vcenter.traffic(reset=True)
    some = samples_of(collect(realtime, ours, [*targets[:7] * 40, *targets[7:]]))
    assert {name[0] for name in some} < keys
    assert vcenter.traffic(reset=True)["QueryPerf"]["calls"] < 80
    rest = samples_of(collect(realtime, ours, targets))
    assert {name[0] for name in (*some, *rest)} == keys
    vcenter.knobs(fault={"QueryPerf": "SystemError"})
    with pytest.raises(SourceError, match="could not answer for"):
        collect(Realtime(), ours, targets * 10)
    assert 64 < vcenter.traffic()["QueryPerf"]["calls"] < 80


def test_entities_are_asked_in_calls_of_256_and_only_those_that_are_given(
    vcenter: Vsphere, ours: Session, plain: Any
) -> None:
    guest, *_ = targets_of(plain, "VirtualMachine")
    realtime = Realtime()
    vcenter.traffic(reset=True)
    assert samples_of(collect(realtime, ours, targets_of(plain, "Datastore", "ResourcePool"))) == {}
    assert "QueryPerf" not in vcenter.traffic()
    many = [Target(guest.type, guest.id, guest.key, guest.cpus)] * 600
    found = samples_of(collect(realtime, ours, many))
    assert vcenter.traffic()["QueryPerf"]["calls"] == 3
    assert {name[0] for name in found} == {guest.id}


def test_a_new_session_goes_on_where_the_last_one_was(vcenter: Vsphere, ours: Session, plain: Any) -> None:
    realtime, targets = Realtime(), targets_of(plain, "VirtualMachine")
    first = samples_of(collect(realtime, ours, targets))
    vcenter.knobs(clock_seconds=40)
    with opened(vcenter) as another:
        second = samples_of(collect(realtime, another, targets))
    assert not first.keys() & second.keys()
    assert len(second) in (2 * len(first) // 3, len(first))


def test_a_clock_that_is_set_back_is_followed(vcenter: Vsphere, ours: Session, plain: Any) -> None:
    realtime, targets = Realtime(), targets_of(plain, "VirtualMachine")
    vcenter.knobs(clock_seconds=3600)
    collect(realtime, ours, targets)
    vcenter.knobs()
    assert len(collect(realtime, ours, targets).times) == 3
