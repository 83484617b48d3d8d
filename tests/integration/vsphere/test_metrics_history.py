"""Statistics of clusters, pools and datastores and their sizes, against the simulator."""

import asyncio
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import pytest
from fixtures.vsphere import Size, Vsphere, simulated
from fixtures.vsphere_client import name_of, session, view
from fixtures.vsphere_statistics import (
    KINDS,
    Vendor,
    call,
    managed,
    opened,
    samples_of,
    target,
    targets_of,
)
from pyVmomi import vim

from satellite.collector import SourceError
from satellite.collectors.vsphere.history import History
from satellite.collectors.vsphere.realtime import Realtime
from satellite.collectors.vsphere.session import Session
from satellite.collectors.vsphere.targets import Target
from satellite.testing import check_readings
from shared.model import Kind, Readings, ResourceKey

STEP: Final = 300_000
READ, WRITE = ("disk.io.direction", "read"), ("disk.io.direction", "write")
_Table = Mapping[str, tuple[str, tuple[tuple[str, str], ...]]]
POOL: Final[_Table] = {
    "cpu.usagemhz.average": ("system.cpu.usage", ()),
    "mem.consumed.average": ("vm.memory.consumed", ()),
    "mem.granted.average": ("vm.memory.granted", ()),
    "mem.active.average": ("vm.memory.active", ()),
    "mem.vmmemctl.average": ("vm.memory.ballooned", ()),
    "mem.swapped.average": ("vm.memory.swapped", ()),
    "mem.compressed.average": ("vm.memory.compressed", ()),
}
TABLES: Final[Mapping[str, _Table]] = {
    "ClusterComputeResource": {
        "cpu.usage.average": ("system.cpu.utilization", ()),
        "cpu.usagemhz.average": ("system.cpu.usage", ()),
        "clusterServices.effectivecpu.average": ("system.cpu.limit", ()),
        "mem.usage.average": ("system.memory.utilization", ()),
        "mem.consumed.average": ("system.memory.usage", (("system.memory.state", "used"),)),
        "clusterServices.effectivemem.average": ("system.memory.limit", ()),
        "mem.granted.average": ("vm.memory.granted", ()),
        "mem.active.average": ("vm.memory.active", ()),
        "mem.vmmemctl.average": ("vm.memory.ballooned", ()),
        "mem.swapused.average": ("vm.memory.swapped", ()),
        "power.power.average": ("hw.power", ()),
    },
    "ResourcePool": POOL,
    "VirtualApp": POOL,
    "Datastore": {
        "datastore.read.average": ("storage.io.rate", (READ,)),
        "datastore.write.average": ("storage.io.rate", (WRITE,)),
        "datastore.numberReadAveraged.average": ("storage.operations.rate", (READ,)),
        "datastore.numberWriteAveraged.average": ("storage.operations.rate", (WRITE,)),
        "datastore.totalReadLatency.average": ("storage.latency", (READ,)),
        "datastore.totalWriteLatency.average": ("storage.latency", (WRITE,)),
    },
}
SIZES: Final = {"storage.capacity", "storage.usage", "storage.available", "storage.provisioned"}


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


def collect(history: History, ours: Session, targets: Sequence[Target], snapshots: Sequence[Target] = ()) -> Readings:
    readings = asyncio.run(history.collect(call, ours, targets, snapshots))
    check_readings(readings, {each.key for each in (*targets, *snapshots)})
    assert readings.by_source_clock
    return readings


def whole(content: Any) -> list[Target]:
    return targets_of(content, "ClusterComputeResource", "ResourcePool", "Datastore")


def test_each_value_is_what_the_server_says_in_base_units(ours: Session, plain: Any) -> None:
    targets = whole(plain)
    readings = collect(History(), ours, targets)
    times = [time for time in readings.times.tolist() if time % STEP == 0]
    assert len(times) == 3
    found = {name: value for name, value in samples_of(readings).items() if name[1] not in SIZES}
    wanted = {}
    vendor = Vendor(plain)
    for each in targets:
        table = TABLES[each.type]
        values = vendor.values(each, table, times, 300, instance="")
        for (name, instance, moment), value in values.items():
            assert not instance
            wanted[each.id, *table[name], moment] = value
    assert found.keys() == wanted.keys()
    assert all(found[name] == pytest.approx(value, rel=1e-12) for name, value in wanted.items())
    offered = {metric for table in TABLES.values() for metric, _ in table.values()}
    assert {name[1] for name in found} == offered


def test_sizes_of_datastores_are_those_of_their_properties(vcenter: Vsphere, ours: Session, plain: Any) -> None:
    stores = targets_of(plain, "Datastore")
    first = view(plain, vim.Datastore).view[0]
    vcenter.set_property(name_of(first), "summary.uncommitted", 5 * 2**40)
    readings = collect(History(), ours, stores)
    now = int(readings.times[-1])
    assert now % STEP
    found = samples_of(readings)
    for each in stores:
        summary = managed(plain, each).summary
        used = summary.capacity - summary.freeSpace
        assert found[each.id, "storage.capacity", (), now] == summary.capacity
        assert found[each.id, "storage.available", (), now] == summary.freeSpace
        assert found[each.id, "storage.usage", (), now] == used
        assert found[each.id, "storage.provisioned", (), now] == used + (summary.uncommitted or 0)
    vcenter.set_property(name_of(first), "summary.accessible", False)
    assert first._moId not in {name[0] for name in samples_of(collect(History(), ours, stores)) if name[1] in SIZES}
    vcenter.set_property(name_of(first), "summary.accessible", True)
    vcenter.knobs(hide={"Datastore": ["summary.freeSpace"]})
    assert not {name[1] for name in samples_of(collect(History(), ours, stores))} & SIZES


def test_what_snapshots_occupy_is_read_in_pages_and_of_those_guests_only(
    vcenter: Vsphere, ours: Session, plain: Any
) -> None:
    guests = view(plain, vim.VirtualMachine).view[:3]
    key = {"type": "VirtualMachineSnapshot", "value": "snapshot-1"}
    for guest in guests:
        vcenter.set_property(name_of(guest), "layoutEx", {
            "file": [{"key": key, "name": f"{key}", "type": "x", "size": 10**key} for key in range(7)],
            "disk": [{"key": 2000, "chain": [{"fileKey": [0]}, {"fileKey": [1, 2]}, {"fileKey": [3]}]}],
            "snapshot": [{"key": key, "dataKey": 4, "memoryKey": 5}, {"key": key, "dataKey": 9, "memoryKey": -1}],
        })  # fmt: skip
    vcenter.knobs(page_objects=1)
    vcenter.traffic(reset=True)
    found = samples_of(collect(History(), ours, [], [target(guest) for guest in guests]))
    assert {name[:2]: value for name, value in found.items()} == {
        (guest._moId, "vm.snapshot.usage"): 10 + 100 + 1000 + 10**4 + 10**5 for guest in guests
    }
    calls = {method: each["calls"] for method, each in vcenter.traffic().items()}
    assert (calls["RetrievePropertiesEx"], calls["ContinueRetrievePropertiesEx"]) == (1, 2)
    assert "QueryPerf" not in calls


def test_late_values_come_with_a_later_cycle_and_once(vcenter: Vsphere, ours: Session, plain: Any) -> None:
    history, targets = History(), whole(plain)
    vcenter.knobs(late_seconds={"Datastore": 2000})
    first = samples_of(collect(history, ours, targets))
    assert not {name for name in first if name[1] == "storage.latency"}
    vcenter.knobs(clock_seconds=1500)
    second = collect(history, ours, targets)
    vcenter.knobs(clock_seconds=1800)
    every = [first, samples_of(second), samples_of(collect(history, ours, targets))]
    assert sum(map(len, every)) == len(set().union(*every))
    moments = sorted({name[3] for part in every for name in part if name[1] == "storage.latency"})
    assert [b - a for a, b in pairwise(moments)] == [STEP] * (len(moments) - 1)
    assert len(moments) in (9, 10)
    vcenter.knobs(clock_seconds=86_400)
    assert len({name[3] for name in samples_of(collect(history, ours, targets)) if name[3] % STEP == 0}) == 12


@pytest.mark.parametrize(("limit", "at_once"), [(64, 64), (0, 256), (-1, 10**6), (11, 11)])
def test_no_more_metrics_are_asked_at_once_than_the_administrator_allows(
    vcenter: Vsphere, ours: Session, plain: Any, limit: int, at_once: int
) -> None:
    vcenter.knobs(max_query_metrics=limit)
    pool, *_ = targets_of(plain, "ResourcePool")
    cluster, *_ = targets_of(plain, "ClusterComputeResource")
    targets = [Target(pool.type, pool.id, pool.key)] * 100 + [cluster]
    vcenter.traffic(reset=True)
    found = samples_of(collect(History(), ours, targets))
    assert {name[0] for name in found} == {pool.id, cluster.id}
    told = vcenter.traffic()["QueryPerf"]
    entities = min(256, max(1, at_once // len(POOL)))
    assert (told["calls"], told["faults"]) == (math.ceil(100 / entities) + 1, 0)


def test_a_server_that_allows_less_than_it_says_is_asked_for_half(vcenter: Vsphere, ours: Session, plain: Any) -> None:
    pool, *_ = targets_of(plain, "ResourcePool")
    history, targets = History(), [Target(pool.type, pool.id, pool.key)] * 36
    vcenter.knobs(fault={"QueryPerf": "RestrictedByAdministrator"}, times={"QueryPerf": 2})
    vcenter.traffic(reset=True)
    assert {name[0] for name in samples_of(collect(history, ours, targets))} == {pool.id}
    assert vcenter.traffic(reset=True)["QueryPerf"]["calls"] == 6  # 36 and 18 are refused, four times nine are not
    vcenter.knobs(clock_seconds=300)
    collect(history, ours, targets)
    assert vcenter.traffic()["QueryPerf"]["calls"] == 4  # it is remembered
    vcenter.knobs(max_query_metrics=1)
    with pytest.raises(SourceError, match=r"vpxd\.stats\.maxQueryMetrics"):
        collect(History(), ours, targets)


def test_a_setting_that_is_not_there_is_taken_as_usual(vcenter: Vsphere, ours: Session, plain: Any) -> None:
    pool, *_ = targets_of(plain, "ResourcePool")
    vcenter.knobs(fault={"QueryOptions": "InvalidName"})
    vcenter.traffic(reset=True)
    collect(History(), ours, [Target(pool.type, pool.id, pool.key)] * 100)
    assert vcenter.traffic()["QueryPerf"]["calls"] == 3


def test_what_vanished_costs_only_itself(vcenter: Vsphere, ours: Session, plain: Any) -> None:
    targets = whole(plain)
    gone = [Target(kind, f"{kind}-9999", ResourceKey(KINDS[kind], "gone")) for kind in TABLES if kind in KINDS]
    lost = Target("VirtualMachine", "vm-9999", ResourceKey(Kind.GUEST, "gone"))
    found = samples_of(collect(History(), ours, [*gone, *targets], [lost]))
    assert {name[:3] for name in found} == {name[:3] for name in samples_of(collect(History(), ours, targets))}


def test_nothing_is_asked_for_nothing(vcenter: Vsphere, ours: Session, plain: Any) -> None:
    vcenter.traffic(reset=True)
    readings = collect(History(), ours, targets_of(plain, "HostSystem", "VirtualMachine"))
    assert (len(readings.times), readings.blocks) == (1, [])
    assert not {"QueryPerf", "RetrievePropertiesEx"} & vcenter.traffic().keys()


def test_a_standalone_host_has_sizes_and_whatever_else_it_keeps() -> None:
    with (
        simulated(Size(guests=2), esx=True) as server,
        opened(server) as ours,
        session(server) as instance,
    ):
        running = targets_of(instance.content, "HostSystem", "VirtualMachine")
        live = asyncio.run(Realtime().collect(call, ours, running))
        assert {name[0] for name in samples_of(live)} == {each.id for each in running}
        history, targets = History(), whole(instance.content)
        found = samples_of(collect(history, ours, targets))
        assert {each.type for each in targets} == {"ResourcePool", "Datastore"}
        assert {name[1] for name in found} >= SIZES
        assert not samples_of(collect(history, ours, targets)).keys() & found.keys()
