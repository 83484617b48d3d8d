"""Sizes that are properties and no statistics: of datastores, and of the snapshots of guests.

The one promise: a size that can't be is absent, and so are all of a datastore that can't be reached: they are old.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from satellite.collectors.vsphere.assembly import ABSURD, Sizes
from satellite.collectors.vsphere.properties import read_properties
from satellite.collectors.vsphere.querying import Call
from satellite.collectors.vsphere.session import Session
from satellite.collectors.vsphere.targets import Target
from shared.model import SeriesKey

_DATASTORE: Final = ("summary.accessible", "summary.capacity", "summary.freeSpace", "summary.uncommitted")
_GUEST: Final = ("layoutEx.disk", "layoutEx.file", "layoutEx.snapshot")
_FILES: Final = 10_000  # of a guest

Values: TypeAlias = Mapping[str, float]  # by metric


async def read_sizes(
    call: Call, session: Session, datastores: Sequence[Target], guests: Sequence[Target], now_ms: int
) -> Sizes:
    """Return the sizes of datastores, and of the snapshots of those guests. Raises SourceError."""
    found = await read_properties(call, session, datastores, _DATASTORE, datastore_sizes)
    found += await read_properties(call, session, guests, _GUEST, snapshot_sizes)
    return sizes_of(found, now_ms)


def sizes_of(found: Iterable[tuple[Target, Values]], now_ms: int) -> Sizes:
    """Return values by target and metric as parts of one metric each."""
    columns: dict[str, list[tuple[SeriesKey, float]]] = {}
    for target, values in found:
        for metric, value in values.items():
            if 0 <= value <= ABSURD:
                columns.setdefault(metric, []).append((SeriesKey(target.key, metric), value))
    parts = [
        (tuple(key for key, _ in column), np.array([value for _, value in column], dtype=np.float64))
        for column in columns.values()
    ]
    return Sizes(now_ms, parts)


def datastore_sizes(found: Mapping[str, Any]) -> Values:
    """Return the sizes of a datastore."""
    capacity, free = found.get("summary.capacity"), found.get("summary.freeSpace")
    if found.get("summary.accessible") is False or capacity is None or free is None:
        return {}
    values = {"storage.capacity": capacity, "storage.available": free, "storage.usage": capacity - free}
    if "summary.uncommitted" in found:  # what thin disks may still grow by
        values["storage.provisioned"] = capacity - free + found["summary.uncommitted"]
    return values


def snapshot_sizes(found: Mapping[str, Any]) -> Values:
    """Return what the snapshots of a guest occupy: their data and memory, and the disks written since the first."""
    files = {each.key: each.size or 0 for each in _some(found.get("layoutEx.file"))}
    if not files:
        return {}
    own = {key for each in _some(found.get("layoutEx.snapshot")) for key in (each.dataKey, each.memoryKey)}
    for disk in _some(found.get("layoutEx.disk")):
        own |= {key for link in disk.chain[1:] for key in link.fileKey}  # the first is the disk itself
    return {"vm.snapshot.usage": sum(files.get(key, 0) for key in own)}


def _some(listed: Iterable[Any] | None) -> Sequence[Any]:
    return list(listed or ())[:_FILES]
