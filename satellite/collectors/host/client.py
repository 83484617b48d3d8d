"""What the kernel says about this machine, read in one go: blocking, for a thread of the source.

The one promise: reading never touches a network filesystem; those are read apart, at most one call at a time.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

FIRST_INTERVAL: Final = 0.2  # seconds that the first CPU utilization of a process is measured over, at least

# A filesystem of these may wait for another machine, without end. fuse.* is added to them.
_REMOTE: Final = frozenset(
    (
        *("9p", "afs", "beegfs", "ceph", "cifs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4"),
        *("ocfs2", "smb3", "smbfs", "virtiofs"),
    )
)
_LOCAL_FUSE: Final = frozenset({"fuse.lxcfs", "fuse.portal", "fuse.gvfsd-fuse"})
# Images that are always full and never written.
_IMAGES: Final = frozenset({"squashfs", "iso9660", "erofs", "cramfs", "udf"})
_DISKS_SKIPPED: Final = ("loop", "ram", "zram", "fd", "sr", "nbd")
# Guests' and containers' ends of virtual cables come and go; their owners' collectors report them by stable names.
_INTERFACES_SKIPPED: Final = ("veth", "vnet")


@dataclass(frozen=True, slots=True)
class Usage:
    """How full a filesystem is (bytes); free is what an unprivileged program can use."""

    device: str
    mountpoint: str
    filesystem: str
    total: int
    used: int
    free: int


@dataclass(frozen=True, slots=True)
class Temperature:
    """What a sensor reads, in degrees Celsius."""

    chip: str
    label: str
    celsius: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at the machine; psutil's own named tuples where they say all. Time in UTC milliseconds."""

    time_ms: int
    boot_ms: int
    uptime: float
    cpu: Any
    cpus: Mapping[int, Any]
    utilization: float | None
    physical: int | None
    load: tuple[float, float, float]
    memory: Any
    swap: Any
    disks: Mapping[str, Any]
    interfaces: Mapping[str, Any]
    filesystems: Sequence[Usage]
    temperatures: Sequence[Temperature]
    processes: Mapping[str, int]


class Machine:
    """This machine between two cycles: it remembers the CPU counters that utilization is measured from."""

    def __init__(self) -> None:
        self.remote = RemoteFilesystems()
        self._cpu: Any = None
        self._read_at = time.monotonic()
        # Read once: the kernel works it out from its clock, and a clock that is set would move it.
        self._boot_ms = int(psutil.boot_time() * 1000)

    def mark(self) -> None:
        """Start the interval of the first utilization now."""
        self._cpu, self._read_at = psutil.cpu_times(), time.monotonic()

    def since_last(self) -> float:
        """Return the seconds since the CPU counters were read."""
        return time.monotonic() - self._read_at

    def read(self, now_ms: Callable[[], int]) -> Snapshot:
        """Read everything but network filesystems."""
        before, time_ms = self._cpu, now_ms()
        self.mark()
        return Snapshot(
            time_ms=time_ms,
            boot_ms=self._boot_ms,
            uptime=time.clock_gettime(time.CLOCK_BOOTTIME),
            cpu=self._cpu,
            cpus=dict(zip(_online(), psutil.cpu_times(percpu=True), strict=False)),
            utilization=None if before is None else utilization(before, self._cpu),
            physical=psutil.cpu_count(logical=False),
            load=psutil.getloadavg(),
            memory=psutil.virtual_memory(),
            swap=psutil.swap_memory(),
            disks=_disks(),
            interfaces=_interfaces(),
            filesystems=_usages(local_mounts()),
            temperatures=_temperatures(),
            processes=_processes(),
        )


class RemoteFilesystems:
    """The network filesystems, which may hang: they are read by one thread at a time."""

    def __init__(self) -> None:
        self._reading = threading.Lock()

    def ready(self) -> bool:
        """Whether there is something to read, and no earlier read still hangs."""
        return not self._reading.locked() and bool(remote_mounts())

    def read(self) -> Sequence[Usage]:
        """Ask each network filesystem how full it is; may block for as long as one of them hangs."""
        if not self._reading.acquire(blocking=False):
            return ()
        try:
            return _usages(remote_mounts())
        finally:
            self._reading.release()


def utilization(before: Any, after: Any) -> float | None:
    """Return the busy share (0 to 1) of the CPU time between two looks; None where no time passed."""
    busy, total = (
        after_part - before_part for after_part, before_part in zip(_busy(after), _busy(before), strict=True)
    )
    return min(max(busy / total, 0.0), 1.0) if total > 0 else None


def local_mounts() -> Sequence[Any]:
    """Return the mounts of filesystems that live on this machine's disks, each device once."""
    return _once(part for part in psutil.disk_partitions(all=False) if part.fstype not in _IMAGES and not _far(part))


def remote_mounts() -> Sequence[Any]:
    """Return the mounts that may wait for another machine, each device once."""
    return _once(part for part in psutil.disk_partitions(all=True) if _far(part) and part.device)


def _far(part: Any) -> bool:
    kind: str = part.fstype
    return kind in _REMOTE or (kind.startswith("fuse.") and kind not in _LOCAL_FUSE)


def _once(parts: Iterator[Any]) -> Sequence[Any]:
    """Keep the shortest mountpoint of each device: the others are bind mounts of the same filesystem."""
    kept: dict[str, Any] = {}
    for part in sorted(parts, key=lambda part: (len(part.mountpoint), part.mountpoint)):
        kept.setdefault(part.device, part)
    return list(kept.values())


def _usages(parts: Sequence[Any]) -> Sequence[Usage]:
    found = []
    for part in parts:
        try:
            usage = psutil.disk_usage(part.mountpoint)
        except OSError:
            continue  # unmounted meanwhile, or below a folder that this user can't enter: not seen
        found.append(Usage(part.device, part.mountpoint, part.fstype, usage.total, usage.used, usage.free))
    return found


def _busy(times: Any) -> tuple[float, float]:
    total = times.user + times.nice + times.system + times.idle + times.iowait
    total += times.irq + times.softirq + times.steal  # guest time is part of user time
    return total - times.idle - times.iowait, total


def _online() -> Sequence[int]:
    """Return the numbers of the CPUs that are on line, which is what the counters per CPU are listed for."""
    spans = Path("/sys/devices/system/cpu/online").read_text(encoding="ascii").strip().split(",")
    ends = [(int(first), int(last or first)) for first, _, last in (span.partition("-") for span in spans)]
    return [number for first, last in ends for number in range(first, last + 1)]


def _disks() -> Mapping[str, Any]:
    counters = psutil.disk_io_counters(perdisk=True, nowrap=False) or {}
    return {
        name: values
        for name, values in counters.items()
        if not name.startswith(_DISKS_SKIPPED) and Path("/sys/block", name.replace("/", "!")).exists()  # no partitions
    }


def _interfaces() -> Mapping[str, Any]:
    counters = psutil.net_io_counters(pernic=True, nowrap=False) or {}
    return {name: values for name, values in counters.items() if not name.startswith(_INTERFACES_SKIPPED)}


def _temperatures() -> Sequence[Temperature]:
    sensors = psutil.sensors_temperatures()
    return [Temperature(chip, entry.label, entry.current) for chip, entries in sensors.items() for entry in entries]


def _processes() -> Mapping[str, int]:
    states: Counter[str] = Counter()
    for process in psutil.process_iter():
        try:
            states[process.status()] += 1
        except psutil.Error:
            continue  # ended meanwhile
    return states
