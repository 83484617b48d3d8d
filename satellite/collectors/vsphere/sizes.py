"""Sizes that are properties and no statistics: of datastores, and of the snapshots of guests.

The one promise: only what was named is read, in pages, and what vanished meanwhile costs nothing but a call.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from satellite.collectors.vsphere.assembly import ABSURD, Sizes
from satellite.collectors.vsphere.counters import DATASTORE, GUEST
from satellite.collectors.vsphere.library import library, object_id
from satellite.collectors.vsphere.querying import BrokenError, Call, around, broken
from satellite.collectors.vsphere.session import Session
from satellite.collectors.vsphere.targets import Target
from shared.model import SeriesKey

_PAGE: Final = 500
_REPEATS: Final = 16
_FILES: Final = 10_000  # of a guest
_PATHS: Final[Mapping[str, Sequence[str]]] = {
    DATASTORE: ("summary.accessible", "summary.capacity", "summary.freeSpace", "summary.uncommitted"),
    GUEST: ("layoutEx.disk", "layoutEx.file", "layoutEx.snapshot"),
}
_Values = Mapping[str, float]  # by metric


async def read_sizes(
    call: Call, session: Session, datastores: Sequence[Target], guests: Sequence[Target], now_ms: int
) -> Sizes:
    """Return the sizes of datastores, and of the snapshots of those guests. Raises SourceError."""
    found: dict[str, list[tuple[SeriesKey, float]]] = {}
    repeats = _REPEATS
    for kind, measure, targets in ((DATASTORE, _datastore, datastores), (GUEST, _guest, guests)):
        parts = [list(targets[start : start + _PAGE]) for start in range(0, len(targets), _PAGE)]
        while parts:
            part = parts.pop()
            try:
                for target, values in await _measured(call, session, part, _PATHS[kind], measure):
                    for metric, value in values.items():
                        found.setdefault(metric, []).append((SeriesKey(target.key, metric), value))
            except BrokenError as error:
                repeats -= 1
                if repeats < 0:
                    raise
                parts += around(part, error.entity)
    return Sizes(now_ms, [_part(some) for some in found.values()])


def _part(some: Sequence[tuple[SeriesKey, float]]) -> tuple[tuple[SeriesKey, ...], Any]:
    return tuple(key for key, _ in some), np.array([value for _, value in some], dtype=np.float64)


async def _measured(
    call: Call,
    session: Session,
    targets: Sequence[Target],
    paths: Sequence[str],
    measure: Callable[[Mapping[str, Any]], _Values],
) -> Sequence[tuple[Target, _Values]]:
    by_id = {target.id: target for target in targets}
    found: list[tuple[Target, _Values]] = []
    token: str | None = None
    for _ in range(len(targets) + 1):  # a server that gives an object a page ends, one that never ends does not
        page, token = await call(_page, session, targets, paths, token, measure)
        found += [(by_id.pop(name), values) for name, values in page if name in by_id]
        if not token:
            break
    return found


def _page(
    session: Session,
    targets: Sequence[Target],
    paths: Sequence[str],
    token: str | None,
    measure: Callable[[Mapping[str, Any]], _Values],
) -> tuple[Sequence[tuple[str, _Values]], str | None]:
    """Return a page of the answer, and what the next is asked with. Blocks."""
    vim, collector = library().vim, library().vmodl.query.PropertyCollector
    with session.errors(), broken(session):
        reader = session.content.propertyCollector
        if token is not None:
            result = reader.ContinueRetrievePropertiesEx(token)
        else:
            kind = getattr(vim, targets[0].type)
            wanted = collector.FilterSpec(
                objectSet=[collector.ObjectSpec(obj=kind(target.id, session.stub)) for target in targets],
                propSet=[collector.PropertySpec(type=kind, pathSet=list(paths))],
            )
            result = reader.RetrievePropertiesEx([wanted], collector.RetrieveOptions(maxObjects=_PAGE))
        if result is None:
            return (), None
        return [
            (object_id(each.obj), _sane(measure({change.name: change.val for change in each.propSet})))
            for each in result.objects
        ], result.token


def _sane(values: _Values) -> _Values:
    return {metric: value for metric, value in values.items() if 0 <= value <= ABSURD}


def _datastore(found: Mapping[str, Any]) -> _Values:
    """Return the sizes of a datastore; of one that can't be reached those that are told are old."""
    if found.get("summary.accessible") is False:
        return {}
    capacity, free = found.get("summary.capacity"), found.get("summary.freeSpace")
    if capacity is None or free is None:
        return {}
    values = {"storage.capacity": capacity, "storage.available": free, "storage.usage": capacity - free}
    if "summary.uncommitted" in found:  # what thin disks may still grow by
        values["storage.provisioned"] = capacity - free + found["summary.uncommitted"]
    return values


def _guest(found: Mapping[str, Any]) -> _Values:
    """Return what the snapshots of a guest occupy: their data and memory, and the disks written since the first."""
    files = {each.key: each.size for each in _some(found.get("layoutEx.file"))}
    if not files:
        return {}
    own = {key for each in _some(found.get("layoutEx.snapshot")) for key in (each.dataKey, each.memoryKey)}
    for disk in _some(found.get("layoutEx.disk")):
        own |= {key for link in disk.chain[1:] for key in link.fileKey}  # the first is the disk itself
    return {"vm.snapshot.usage": sum(files.get(key, 0) or 0 for key in own)}


def _some(listed: Iterable[Any] | None) -> Sequence[Any]:
    return list(listed or ())[:_FILES]
