"""Which of the vendor's counters become which metrics: names, units, and what they are asked of.

The one promise: a counter that the server lacks, or that it has in another unit than the table says, is left out and
costs nothing; what the table names comes in the unit of shared/metrics.toml.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from satellite.collectors.vsphere.library import clean, library
from satellite.collectors.vsphere.session import Session

GUEST: Final = "VirtualMachine"
HOST: Final = "HostSystem"
CLUSTER: Final = "ClusterComputeResource"
POOL: Final = "ResourcePool"
VAPP: Final = "VirtualApp"  # a pool, too
DATASTORE: Final = "Datastore"

# From the vendor's units to those of the catalogue; percent is in hundredths, and a KB has 1024 bytes.
_FACTORS: Final[Mapping[str, float]] = {
    "number": 1, "second": 1, "watt": 1, "percent": 1e-4, "millisecond": 1e-3, "megaHertz": 1e6,
    "kiloBytes": 2**10, "megaBytes": 2**20, "kiloBytesPerSecond": 2**10,
}  # fmt: skip
_NAME: Final = 128  # characters of an instance
_SHAPES: Final = 4096

Attributes: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Counter:
    """A row of the table: our metric from the vendor's counter ("group.name.rollup", with the unit it has there).

    device is the attribute that names each instance; without one only the sum over all of them is asked. What is added
    up over an interval (summation) becomes a rate; per_cpu makes time a share of that of all CPUs of the entity.
    """

    metric: str
    name: str
    unit: str
    types: tuple[str, ...]
    device: str = ""
    attributes: Attributes = ()
    per_cpu: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """What a series of an entity is: its metric, its attributes, and the factor to the metric's unit."""

    metric: str
    attributes: Attributes
    factor: float
    per_cpu: bool


Shape: TypeAlias = tuple[Column | None, ...]  # the series that an answer has of an entity; None for what is not ours
Names: TypeAlias = tuple[tuple[int, str], ...]  # the same as the vendor names them: counter and instance


def _directed(metric: str, unit: str, types: tuple[str, ...], device: str, **names: str) -> tuple[Counter, ...]:
    """Return one counter for each direction."""
    attribute = "network.io.direction" if "network" in metric else "disk.io.direction"
    return tuple(
        Counter(metric, name, unit, types, device, ((attribute, direction),)) for direction, name in names.items()
    )


_DISK, _CARD, _STORE = "system.device", "network.interface.name", "storage.datastore"
_USED: Final[Attributes] = (("system.memory.state", "used"),)

TABLE: Final[tuple[Counter, ...]] = (
    Counter("system.uptime", "sys.uptime.latest", "second", (GUEST, HOST)),
    Counter("system.cpu.utilization", "cpu.usage.average", "percent", (GUEST, HOST, CLUSTER)),
    Counter("system.cpu.usage", "cpu.usagemhz.average", "megaHertz", (GUEST, HOST, CLUSTER, POOL, VAPP)),
    Counter("system.cpu.limit", "clusterServices.effectivecpu.average", "megaHertz", (CLUSTER,)),
    Counter("vm.cpu.ready.utilization", "cpu.ready.summation", "millisecond", (GUEST,), per_cpu=True),
    Counter("vm.cpu.costop.utilization", "cpu.costop.summation", "millisecond", (GUEST,), per_cpu=True),
    Counter("system.memory.utilization", "mem.usage.average", "percent", (HOST, CLUSTER)),
    Counter("system.memory.usage", "mem.consumed.average", "kiloBytes", (HOST, CLUSTER), attributes=_USED),
    Counter("system.memory.limit", "clusterServices.effectivemem.average", "megaBytes", (CLUSTER,)),
    Counter("vm.memory.utilization", "mem.usage.average", "percent", (GUEST,)),
    Counter("vm.memory.consumed", "mem.consumed.average", "kiloBytes", (GUEST, POOL, VAPP)),
    Counter("vm.memory.granted", "mem.granted.average", "kiloBytes", (GUEST, HOST, CLUSTER, POOL, VAPP)),
    Counter("vm.memory.active", "mem.active.average", "kiloBytes", (GUEST, HOST, CLUSTER, POOL, VAPP)),
    Counter("vm.memory.ballooned", "mem.vmmemctl.average", "kiloBytes", (GUEST, HOST, CLUSTER, POOL, VAPP)),
    Counter("vm.memory.swapped", "mem.swapped.average", "kiloBytes", (GUEST, POOL, VAPP)),
    Counter("vm.memory.swapped", "mem.swapused.average", "kiloBytes", (HOST, CLUSTER)),
    Counter("vm.memory.compressed", "mem.compressed.average", "kiloBytes", (GUEST, POOL, VAPP)),
    *_directed(
        "system.disk.io.rate", "kiloBytesPerSecond", (GUEST,), _DISK,
        read="virtualDisk.read.average", write="virtualDisk.write.average",
    ),
    *_directed(
        "system.disk.io.rate", "kiloBytesPerSecond", (HOST,), "",
        read="disk.read.average", write="disk.write.average",
    ),
    *_directed(
        "system.disk.operations.rate", "number", (GUEST,), _DISK,
        read="virtualDisk.numberReadAveraged.average", write="virtualDisk.numberWriteAveraged.average",
    ),
    *_directed(
        "system.disk.latency", "millisecond", (GUEST,), _DISK,
        read="virtualDisk.totalReadLatency.average", write="virtualDisk.totalWriteLatency.average",
    ),
    *_directed(
        "storage.io.rate", "kiloBytesPerSecond", (DATASTORE,), "",
        read="datastore.read.average", write="datastore.write.average",
    ),
    *_directed(
        "storage.operations.rate", "number", (DATASTORE,), "",
        read="datastore.numberReadAveraged.average", write="datastore.numberWriteAveraged.average",
    ),
    *_directed(
        "storage.operations.rate", "number", (HOST,), _STORE,
        read="datastore.numberReadAveraged.average", write="datastore.numberWriteAveraged.average",
    ),
    *_directed(
        "storage.latency", "millisecond", (DATASTORE,), "",
        read="datastore.totalReadLatency.average", write="datastore.totalWriteLatency.average",
    ),
    *_directed(
        "storage.latency", "millisecond", (HOST,), _STORE,
        read="datastore.totalReadLatency.average", write="datastore.totalWriteLatency.average",
    ),
    *_directed(
        "system.network.io.rate", "kiloBytesPerSecond", (GUEST,), "",
        receive="net.received.average", transmit="net.transmitted.average",
    ),
    *_directed(
        "system.network.io.rate", "kiloBytesPerSecond", (HOST,), _CARD,
        receive="net.received.average", transmit="net.transmitted.average",
    ),
    *_directed(
        "system.network.packet.dropped.rate", "number", (GUEST, HOST), _CARD,
        receive="net.droppedRx.summation", transmit="net.droppedTx.summation",
    ),
    Counter("hw.power", "power.power.average", "watt", (GUEST, HOST, CLUSTER)),
)  # fmt: skip


class Counters:
    """The table as one server numbers it, for statistics of one interval (seconds). From any thread."""

    def __init__(self, keys: Mapping[tuple[str, str], int], interval: int) -> None:
        """Take the server's numbers of counters by name and unit."""
        self._interval = interval
        self._of: dict[str, dict[int, Counter]] = {}
        self._shapes: dict[tuple[str, Names], Shape] = {}
        for row in TABLE:
            if (key := keys.get((row.name, row.unit))) is not None:
                for kind in row.types:
                    self._of.setdefault(kind, {})[key] = row

    def asked(self, kind: str) -> Sequence[Any]:
        """Return the vendor's MetricIds of all that is asked of a type; none where the server has none of it."""
        metric_id = library().vim.PerformanceManager.MetricId
        known = self._of.get(kind, {})
        return [metric_id(counterId=key, instance="*" if row.device else "") for key, row in known.items()]

    def shape(self, kind: str, names: Names) -> Shape:
        """Return what the series of an entity are; the same object for the same names."""
        known = self._shapes.get((kind, names))
        if known is None:
            if len(self._shapes) >= _SHAPES:
                self._shapes.clear()
            known = self._shapes[kind, names] = self._make(kind, names)
        return known

    def _make(self, kind: str, names: Names) -> Shape:
        seen: set[tuple[str, Attributes]] = set()
        columns: list[Column | None] = []
        for key, instance in names:
            column = self._column(self._of.get(kind, {}).get(key), instance)
            if column is not None and (column.metric, column.attributes) in seen:
                column = None
            if column is not None:
                seen.add((column.metric, column.attributes))
            columns.append(column)
        return tuple(columns)

    def _column(self, row: Counter | None, instance: str) -> Column | None:
        if row is None or (instance and not row.device):
            return None
        factor = _FACTORS[row.unit]
        if row.name.endswith(".summation"):
            factor /= self._interval
        named = (*row.attributes, (row.device, clean(instance)[:_NAME])) if instance else row.attributes
        return Column(row.metric, tuple(sorted(named)), factor, row.per_cpu)


def read_keys(session: Session) -> Mapping[tuple[str, str], int]:
    """Return the server's numbers of its counters by name and unit. Blocks; raises SourceError. Once a session."""
    with session.errors():
        return keys(session.content.perfManager.perfCounter)


def keys(infos: Iterable[Any]) -> Mapping[tuple[str, str], int]:
    """Return the numbers in a catalogue of counters by name and unit."""
    return {
        (f"{info.groupInfo.key}.{info.nameInfo.key}.{info.rollupType}", info.unitInfo.key): info.key for info in infos
    }
