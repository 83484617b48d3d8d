"""What the vSAN service of a vCenter says of a cluster, in the catalogue's names and units.

The one promise: whatever is said, a value that is none is absent.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from satellite.collectors.vsphere.counters import Attributes, Column, Shape
from satellite.collectors.vsphere.samples import Found, numbers
from satellite.collectors.vsphere.sizes import Values
from shared.catalogue import catalogue
from shared.columns import I64

HEALTH: Final = "vsan.health"
CLIENT: Final = "cluster-domclient"  # what the guests of a cluster see of its vSAN, as one entity
_SAMPLES: Final = 1000
_READ: Final[Attributes] = (("disk.io.direction", "read"),)
_WRITE: Final[Attributes] = (("disk.io.direction", "write"),)
# By the vendor's label: operations and bytes a second, microseconds.
_COLUMNS: Final = {
    "iopsRead": Column("storage.operations.rate", _READ, 1, False),
    "iopsWrite": Column("storage.operations.rate", _WRITE, 1, False),
    "throughputRead": Column("storage.io.rate", _READ, 1, False),
    "throughputWrite": Column("storage.io.rate", _WRITE, 1, False),
    "latencyAvgRead": Column("storage.latency", _READ, 1e-6, False),
    "latencyAvgWrite": Column("storage.latency", _WRITE, 1e-6, False),
    "congestion": Column("vsan.congestion", (), 1, False),
    "oio": Column("vsan.outstanding_io", (), 1, False),
}


def health_of(summary: Any) -> Values:
    """Return the health; unknown where it can't be asked, is not checked, or is none of the colours."""
    colour = getattr(summary, "overallHealth", None)
    codes = {word: code for code, word in catalogue()[HEALTH].codes.items()}
    return {HEALTH: codes.get(colour if isinstance(colour, str) else "", codes["unknown"])}


def space_of(usage: Any) -> Values:
    """Return the sizes of the cluster's vSAN."""
    total, free = usage.totalCapacityB, usage.freeCapacityB
    values = {} if total is None else {"storage.capacity": total}
    if total is not None and free is not None:
        values |= {"storage.available": free, "storage.usage": total - free}
    return values


def resync_of(result: Any) -> Values:
    """Return what is yet to be copied; where nothing is, the service leaves it unsaid."""
    return {"vsan.resync.size": result.totalBytesToSync or 0, "vsan.resync.objects": result.totalObjectsToSync or 0}


def performance_of(answer: Sequence[Any], cluster: str) -> list[Found]:
    """Return the samples of a cluster as of an entity with that id."""
    for entity in answer:
        if str(entity.entityRefId).startswith(f"{CLIENT}:") and entity.sampleInfo:
            times, order, count = _instants(entity.sampleInfo)
            series = {str(each.metricId.label): each.values or "" for each in entity.value}
            rows = {label: numbers(text) for label, text in series.items() if text.count(",") + 1 == count}
            shape: Shape = tuple(column for label, column in _COLUMNS.items() if label in rows)
            if count and shape:
                values = np.array([rows[label] for label in _COLUMNS if label in rows])
                return [Found(cluster, shape, times, values[:, order])]
    return []


def _instants(text: str) -> tuple[I64, I64, int]:
    """Return the instants (ascending), where each stands, and how many are told; they are in UTC without a zone."""
    parts = text.split(",")
    try:
        moments = [datetime.fromisoformat(part.strip()).replace(tzinfo=UTC).timestamp() for part in parts[:_SAMPLES]]
    except ValueError:
        moments = []
    times, order = np.unique(np.rint(np.array(moments) * 1000).astype(np.int64), return_index=True)
    return times, order, len(parts) if len(moments) == len(parts) else 0
