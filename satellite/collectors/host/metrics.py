"""From a look at the machine to readings: names, units and attributes of the catalogue.

The one promise: what the machine lacks is absent, and the series of one cycle are the series of the next.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from satellite.blocks import Blocks
from satellite.collectors.host.client import Snapshot, Temperature, Usage
from satellite.collectors.host.starts import Starts
from shared.catalogue import catalogue, state_code
from shared.model import Readings, ResourceKey, SeriesKey, State

Attributes: TypeAlias = tuple[tuple[str, str], ...]
Sample: TypeAlias = tuple[str, Attributes, float | None]


class HostMetrics:
    """Turns snapshots into readings of one host."""

    def __init__(self, host: ResourceKey, starts: Starts) -> None:
        self._host = host
        self._blocks = Blocks()
        self._keys: dict[tuple[str, Attributes], SeriesKey] = {}
        self._starts = starts

    def readings(self, snapshot: Snapshot, remote: Sequence[Usage] = ()) -> Readings:
        """Return the readings of a snapshot, with the network filesystems that answered."""
        grouped: dict[str, tuple[list[SeriesKey], list[float]]] = {}
        keys = {}
        for metric, attributes, value in _samples(snapshot, remote):
            if value is None:
                continue
            name = (metric, attributes)
            keys[name] = key = self._keys.get(name) or SeriesKey(self._host, metric, attributes)
            series, values = grouped.setdefault(metric, ([], []))
            series.append(key)
            values.append(value)
        self._keys = keys  # a device that is gone is forgotten
        self._starts.look(snapshot)
        for metric, (series, values) in grouped.items():
            counter = catalogue()[metric].kind == "counter"
            self._blocks.add(series, values, [self._starts.of(key) for key in series] if counter else None)
        return self._blocks.readings(snapshot.time_ms)


def _samples(snapshot: Snapshot, remote: Sequence[Usage]) -> Iterator[Sample]:
    yield "resource.state", (), state_code(State.UP)
    yield "system.uptime", (), snapshot.uptime
    yield from _cpu(snapshot)
    yield from _memory(snapshot.memory)
    yield from _paging(snapshot.swap)
    yield from _processes(snapshot.processes)
    for usage in (*snapshot.filesystems, *remote):
        yield from _filesystem(usage)
    for name, counters in snapshot.disks.items():
        yield from _disk(name, counters)
    for name, counters in snapshot.interfaces.items():
        yield from _interface(name, counters)
    yield from _temperature(snapshot.temperatures)


def _cpu(snapshot: Snapshot) -> Iterator[Sample]:
    yield from _cpu_modes((), snapshot.cpu)
    for number, times in snapshot.cpus.items():
        yield from _cpu_modes((("cpu.logical_number", str(number)),), times)
    yield "system.cpu.utilization", (), snapshot.utilization
    yield "system.cpu.logical.count", (), len(snapshot.cpus)
    yield "system.cpu.physical.count", (), snapshot.physical
    for minutes, load in zip((1, 5, 15), snapshot.load, strict=True):
        yield f"system.linux.load.{minutes}m", (), load


def _cpu_modes(which: Attributes, times: Any) -> Iterator[Sample]:
    for mode in ("user", "nice", "system", "idle", "iowait", "steal"):
        yield "system.cpu.time", (*which, ("cpu.mode", mode)), getattr(times, mode)
    yield "system.cpu.time", (*which, ("cpu.mode", "interrupt")), times.irq + times.softirq


def _memory(memory: Any) -> Iterator[Sample]:
    yield "system.memory.limit", (), memory.total
    yield "system.memory.linux.available", (), memory.available
    yield "system.memory.utilization", (), (memory.total - memory.available) / memory.total
    states = {"free": memory.free, "buffers": memory.buffers, "cached": memory.cached}
    states["used"] = max(memory.total - sum(states.values()), 0)
    for state, size in states.items():
        yield "system.memory.usage", (("system.memory.state", state),), size


def _paging(swap: Any) -> Iterator[Sample]:
    yield "system.paging.usage", (("system.paging.state", "used"),), swap.used
    yield "system.paging.usage", (("system.paging.state", "free"),), swap.free
    yield "system.paging.utilization", (), swap.used / swap.total if swap.total else None
    yield "system.paging.io", (("system.paging.direction", "in"),), swap.sin
    yield "system.paging.io", (("system.paging.direction", "out"),), swap.sout


def _processes(states: Mapping[str, int]) -> Iterator[Sample]:
    yield "system.process.count", (), sum(states.values())
    # The usual states are always there, as zero too: a graph of them has no holes.
    for state in sorted({"running", "sleeping", "disk-sleep", "zombie", *states}):
        yield "system.process.count", (("process.state", state),), states.get(state, 0)


def _filesystem(usage: Usage) -> Iterator[Sample]:
    which = (
        ("system.device", usage.device),
        ("system.filesystem.mountpoint", usage.mountpoint),
        ("system.filesystem.type", usage.filesystem),
    )
    yield "system.filesystem.limit", which, usage.total
    usable = usage.used + usage.free
    yield "system.filesystem.utilization", which, usage.used / usable if usable else None
    sizes = {"used": usage.used, "free": usage.free, "reserved": max(usage.total - usable, 0)}
    for state, size in sizes.items():
        attributes = (which[0], which[1], ("system.filesystem.state", state), which[2])
        yield "system.filesystem.usage", attributes, size


def _disk(name: str, counters: Any) -> Iterator[Sample]:
    device = ("system.device", name)
    for direction in ("read", "write"):
        which = (("disk.io.direction", direction), device)
        yield "system.disk.io", which, getattr(counters, f"{direction}_bytes")
        yield "system.disk.operations", which, getattr(counters, f"{direction}_count")
        yield "system.disk.operation_time", which, getattr(counters, f"{direction}_time") / 1000
    yield "system.disk.io_time", (device,), counters.busy_time / 1000


def _interface(name: str, counters: Any) -> Iterator[Sample]:
    for direction, short, fault in (("receive", "recv", "in"), ("transmit", "sent", "out")):
        which = (("network.interface.name", name), ("network.io.direction", direction))
        yield "system.network.io", which, getattr(counters, f"bytes_{short}")
        yield "system.network.packet.count", which, getattr(counters, f"packets_{short}")
        yield "system.network.errors", which, getattr(counters, f"err{fault}")
        yield "system.network.packet.dropped", which, getattr(counters, f"drop{fault}")


def _temperature(temperatures: Sequence[Temperature]) -> Iterator[Sample]:
    seen: dict[str, int] = {}
    for sensor in temperatures:
        number = seen[sensor.chip] = seen.get(sensor.chip, 0) + 1  # labels are empty or equal on many boards
        which = (("hw.id", f"{sensor.chip}-{number}"), ("hw.name", sensor.label or sensor.chip))
        yield "hw.temperature", which, sensor.celsius
