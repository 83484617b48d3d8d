"""From libvirt's statistics to readings: names, units and attributes of the catalogue.

The one promise: the work per cycle is a few numpy operations a metric and a few tuples a guest, never a loop a sample.
"""

from collections.abc import Sequence
from functools import cache
from itertools import repeat
from typing import Final

import numpy as np

from satellite.blocks import Blocks
from satellite.collectors.libvirt.client import Answer, Guest, Statistics
from satellite.collectors.libvirt.documents import clean
from satellite.collectors.libvirt.freshness import Freshness
from satellite.collectors.libvirt.states import GUEST_STATES
from satellite.collectors.libvirt.storage import Network, Pool
from satellite.collectors.libvirt.tables import Column, Row, Table, whole
from shared.catalogue import state_code
from shared.columns import I64
from shared.model import Kind, ResourceKey, SeriesKey, State

_DEVICES: Final = 256  # of a kind that one guest may have; more is not a guest but an attack
_STATE_CODES: Final = np.array([state_code(state) for state in GUEST_STATES], dtype=np.int64)
_INACTIVE: Final = (0, 5)  # virDomainState: no state, shut off

_GUEST: Final = (
    Column("vm.cpu.time", "used", unit="ns"),
    Column("system.cpu.logical.count", "vcpu.current"),
    Column("vm.memory.assigned", "balloon.current", unit="KiB"),
    Column("vm.memory.ballooned", "ballooned", unit="KiB"),
    Column("vm.memory.consumed", "balloon.rss", unit="KiB"),
)
# What the balloon's driver in the guest says.
_BALLOON: Final = (
    Column("system.memory.limit", "balloon.available", unit="KiB"),
    Column("system.memory.usage", "balloon.unused", unit="KiB", attributes=(("system.memory.state", "free"),)),
    Column("system.memory.usage", "balloon.disk_caches", unit="KiB", attributes=(("system.memory.state", "cached"),)),
    Column("system.memory.usage", "used", unit="KiB", attributes=(("system.memory.state", "used"),)),
    Column("system.memory.utilization", "utilization", unit="ppb"),
    Column("system.paging.io", "balloon.swap_in", unit="KiB", attributes=(("system.paging.direction", "in"),)),
    Column("system.paging.io", "balloon.swap_out", unit="KiB", attributes=(("system.paging.direction", "out"),)),
    Column("system.paging.faults", "balloon.major_fault", attributes=(("system.paging.fault.type", "major"),)),
    Column("system.paging.faults", "balloon.minor_fault", attributes=(("system.paging.fault.type", "minor"),)),
)
_VCPU: Final = (
    Column("vm.cpu.time", "time", unit="ns", device="cpu.logical_number"),
    Column("vm.cpu.ready.time", "delay", unit="ns", device="cpu.logical_number"),
    Column("vm.cpu.wait.time", "wait", unit="ns", device="cpu.logical_number"),
)
_DIRECTIONS: Final = (("rx", "receive"), ("tx", "transmit"))
_NET: Final = tuple(
    Column(metric, f"{short}.{field}", "network.interface.name", attributes=(("network.io.direction", direction),))
    for metric, field in (
        ("system.network.io", "bytes"),
        ("system.network.packet.count", "pkts"),
        ("system.network.errors", "errs"),
        ("system.network.packet.dropped", "drop"),
    )
    for short, direction in _DIRECTIONS
)
_BLOCK: Final = (
    *(
        Column(metric, f"{short}.{field}", "system.device", unit, (("disk.io.direction", direction),))
        for metric, field, unit in (
            ("system.disk.io", "bytes", ""),
            ("system.disk.operations", "reqs", ""),
            ("system.disk.operation_time", "times", "ns"),
        )
        for short, direction in (("rd", "read"), ("wr", "write"))
    ),
    Column("vm.disk.flush.operations", "fl.reqs", "system.device"),
    Column("vm.disk.flush.time", "fl.times", "system.device", "ns"),
    Column("storage.capacity", "capacity", "system.device"),
    Column("storage.usage", "physical", "system.device"),
)


class GuestMetrics:
    """Turns the answers of one connection into readings of its guests."""

    def __init__(self, interval: float) -> None:
        self._tables = {name: Table(columns) for name, columns in _TABLES.items()}
        self._freshness = Freshness(interval)
        self._states: dict[ResourceKey, SeriesKey] = {}

    def add(self, blocks: Blocks, answer: Answer) -> None:
        """Add the readings of all guests."""
        rows: dict[str, list[Row]] = {name: [] for name in self._tables}
        values: dict[str, list[Sequence[object]]] = {name: [] for name in self._tables}
        self._add_states(blocks, answer.guests)
        for guest in answer.guests:
            if guest.statistics.get("state.state") in _INACTIVE:
                continue
            key = ResourceKey(Kind.GUEST, guest.uuid)
            rows["guest"].append((key, ""))
            values["guest"].append(_guest_values(guest.statistics))
            if self._freshness.fresh(guest):
                rows["balloon"].append((key, ""))
                values["balloon"].append(_balloon_values(guest.statistics))
            _devices(guest, key, rows, values)
        self._freshness.keep({guest.uuid for guest in answer.guests})
        for name, table in self._tables.items():
            table.add(blocks, rows[name], whole(values[name], table.width))

    def _add_states(self, blocks: Blocks, guests: Sequence[Guest]) -> None:
        keys = [ResourceKey(Kind.GUEST, guest.uuid) for guest in guests]
        self._states = {key: self._states.get(key) or SeriesKey(key, "resource.state") for key in keys}
        numbers: I64 = whole([(_number(guest.statistics, "state.state"),) for guest in guests], 1)[:, 0]
        known = np.where((numbers >= 0) & (numbers < len(_STATE_CODES)), numbers, 0)
        blocks.add(list(self._states.values()), _STATE_CODES[known])


class HostMetrics:
    """Turns the answers of one connection into readings of its host; it remembers the CPU time of the last cycle."""

    def __init__(self, host: ResourceKey) -> None:
        self._host = host
        self._before: tuple[int, int] | None = None

    def add(self, blocks: Blocks, answer: Answer) -> None:
        """Add the readings of the host; what its driver can't tell is absent."""
        self._one(blocks, "resource.state", state_code(State.UP))
        self._one(blocks, "system.cpu.logical.count", answer.cpus)
        if answer.cpu:
            self._add_cpu(blocks, answer)
        memory = {name: value * 1024 for name, value in answer.memory.items()}
        if total := memory.pop("total", 0):
            memory["used"] = max(total - sum(memory.values()), 0)
            self._one(blocks, "system.memory.limit", total)
            self._one(blocks, "system.memory.utilization", memory["used"] / total)
            for state, size in memory.items():
                self._one(blocks, "system.memory.usage", size, ("system.memory.state", state))

    def _add_cpu(self, blocks: Blocks, answer: Answer) -> None:
        for mode, name in (("user", "user"), ("kernel", "system"), ("idle", "idle"), ("iowait", "iowait")):
            if mode in answer.cpu:
                self._one(blocks, "system.cpu.time", answer.cpu[mode] / 1e9, ("cpu.mode", name))
        total = sum(answer.cpu.get(mode, 0) for mode in ("user", "kernel", "idle", "iowait"))
        busy = answer.cpu.get("user", 0) + answer.cpu.get("kernel", 0)
        if self._before is not None and total > self._before[1]:
            share = (busy - self._before[0]) / (total - self._before[1])
            self._one(blocks, "system.cpu.utilization", min(max(share, 0.0), 1.0))
        self._before = busy, total

    def _one(self, blocks: Blocks, metric: str, value: float, *attributes: tuple[str, str]) -> None:
        blocks.add((SeriesKey(self._host, metric, attributes),), (value,))


def add_storage(blocks: Blocks, pools: Sequence[Pool], networks: Sequence[Network]) -> None:
    """Add the readings of storage pools and networks; one that does not run has a state and no sizes."""
    datastores = [(ResourceKey(Kind.DATASTORE, pool.uuid), pool) for pool in pools]
    keys = [(key, pool.state) for key, pool in datastores]
    keys += [(ResourceKey(Kind.NETWORK, network.uuid), network.state) for network in networks]
    blocks.add([SeriesKey(key, "resource.state") for key, _ in keys], [state_code(state) for _, state in keys])
    sized = [(key, pool.sizes) for key, pool in datastores if pool.sizes is not None]
    for place, metric in enumerate(("storage.capacity", "storage.usage", "storage.available")):
        blocks.add([SeriesKey(key, metric) for key, _ in sized], [sizes[place] for _, sizes in sized])


_TABLES: Final = {"guest": _GUEST, "balloon": _BALLOON, "vcpu": _VCPU, "net": _NET, "block": _BLOCK}


def _number(statistics: Statistics, name: str) -> int:
    value = statistics.get(name, -1)
    return value if isinstance(value, int) else -1


def _guest_values(statistics: Statistics) -> Sequence[int]:
    now, most = _number(statistics, "balloon.current"), _number(statistics, "balloon.maximum")
    derived = {"used": _cpu_used(statistics), "ballooned": most - now if 0 <= now <= most else -1}
    return tuple(derived.get(column.field, _number(statistics, column.field)) for column in _GUEST)


def _cpu_used(statistics: Statistics) -> int:
    """Return what the virtual CPUs used (ns), or what the driver tells in their place, as for a container.

    QEMU's `cpu.time` is the whole process: it grows by what answering us costs, even while the guest is suspended.
    """
    count = min(_number(statistics, "vcpu.maximum"), _DEVICES)
    times = [time for number in range(count) if (time := _number(statistics, f"vcpu.{number}.time")) >= 0]
    return sum(times) if times else _number(statistics, "cpu.time")


def _balloon_values(statistics: Statistics) -> Sequence[int]:
    total, free, caches, usable = (
        _number(statistics, f"balloon.{name}") for name in ("available", "unused", "disk_caches", "usable")
    )
    derived = {
        "used": total - free - caches if min(total, free, caches) >= 0 else -1,
        "utilization": (total - usable) * 10**9 // total if 0 <= usable <= total and total else -1,
    }
    return tuple(derived.get(column.field, _number(statistics, column.field)) for column in _BALLOON)


def _devices(
    guest: Guest, key: ResourceKey, rows: dict[str, list[Row]], values: dict[str, list[Sequence[object]]]
) -> None:
    for table, counted in (("vcpu", "vcpu.maximum"), ("net", "net.count"), ("block", "block.count")):
        names = _names(guest, table, min(_number(guest.statistics, counted), _DEVICES))
        for name, number in names.items():
            rows[table].append((key, name))
            values[table].append(tuple(map(guest.statistics.get, _fields(table, number), repeat(-1))))


def _names(guest: Guest, table: str, count: int) -> dict[str, int]:
    """Return the number of each device by the name of its series, each name once: two series can't share one."""
    if table == "vcpu":
        return {str(number): number for number in range(count)}
    # The host's end of a cable gets a new name at each start of the guest; the card's address stays.
    addresses = {card.target: card.mac for card in guest.document.cards if card.target and card.mac}
    names: dict[str, int] = {}
    for number in range(count):
        name = clean(str(guest.statistics.get(f"{table}.{number}.name", "")))
        address = addresses.get(name, name)
        if shown := name if address in names else address:
            names.setdefault(shown, number)
    return names


@cache
def _fields(table: str, number: int) -> Sequence[str]:
    return tuple(f"{table}.{number}.{column.field}" for column in _TABLES[table])
