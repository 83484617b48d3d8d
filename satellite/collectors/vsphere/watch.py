"""What changes at a server, told by the server itself: a property collector of our own over one view of everything.

The one promise: everything is read once, in pages; after that nothing travels but what changed.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from satellite.collector import SourceError
from satellite.collectors.vsphere.facts import Convert
from satellite.collectors.vsphere.library import clean, library, object_id, reference
from satellite.collectors.vsphere.objects import Change
from satellite.collectors.vsphere.paths import SINGLE, WATCHED
from satellite.collectors.vsphere.session import Session

log = logging.getLogger(__name__)

PAGE: Final = 500  # objects in an answer
_IN_VIEW: Final = (
    *("Folder", "Datacenter", "ComputeResource", "HostSystem", "ResourcePool", "VirtualMachine"),
    *("Datastore", "Network", "DistributedVirtualSwitch"),
)
_IN_DVS: Final = frozenset({"DistributedVirtualPortgroup", "VmwareDistributedVirtualSwitch"})
_BASES: Final = {"OpaqueNetwork": "Network"}  # types that have no paths of their own


class WatchLostError(SourceError):
    """The server has forgotten what we watch: it is to be begun anew."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What changed since the last answer; more: the rest of it waits already."""

    changes: Sequence[Change]
    more: bool


class Watch:
    """Every method blocks, for a thread of the source; one thread at a time."""

    def __init__(self, session: Session) -> None:
        """Prepare; nothing is asked yet."""
        self._session = session
        self._unknown: set[str] = set()  # paths that this server does not have
        self._collector: Any = None
        self._view: Any = None
        self._version = ""

    def begin(self) -> None:
        """Let the server watch, from the beginning. Raises SourceError."""
        with self._session.errors():
            self._forget()
            content = self._session.content
            kinds = [_type(name) for name in _IN_VIEW]
            self._view = content.viewManager.CreateContainerView(content.rootFolder, kinds, True)
            self._create()

    def ask(self, seconds: float) -> Answer:
        """Return what changed, after so many seconds at most. Raises WatchLostError and other SourceErrors."""
        options = library().vmodl.query.PropertyCollector.WaitOptions(
            maxWaitSeconds=round(seconds), maxObjectUpdates=PAGE
        )
        with self._session.errors(), _lost():
            while True:
                try:
                    update = self._collector.WaitForUpdatesEx(self._version, options)
                    break
                except library().vmodl.query.InvalidProperty as fault:
                    self._leave_out(fault)
            if update is None:
                return Answer((), more=False)
            found = [change for part in update.filterSet for each in part.objectSet for change in self._changes(each)]
            self._version = update.version
            return Answer(found, more=bool(update.truncated))

    def alarm_names(self, refs: Sequence[str]) -> Mapping[str, str]:
        """Return the names of alarms by their references. Raises SourceError."""
        alarm = library().vim.alarm.Alarm
        objects = [alarm(ref.partition(":")[2], self._session.stub) for ref in refs]
        with self._session.errors():
            found = self._read(objects, {"Alarm": ("info.name",)})
        names = {ref: ref.partition(":")[2] for ref in refs}  # one that is gone has no other name
        for each in found:
            for change in each.propSet:
                names[reference(each.obj)] = clean(str(change.val), 100)
        return names

    def root_alarms(self) -> Change | None:
        """Return the alarms anew: the vendor does not promise to tell of their changes. Raises SourceError."""
        with self._session.errors():
            found = self._read([self._session.content.rootFolder], {"Folder": tuple(SINGLE["Folder"])})
        return next((_change(each.obj, each.propSet, SINGLE["Folder"]) for each in found), None)

    # --- what is asked

    def _create(self) -> None:
        content, collector = self._session.content, library().vmodl.query.PropertyCollector
        through = collector.TraversalSpec(type=library().vim.view.ContainerView, path="view", skip=False)
        all_of_it = collector.ObjectSpec(obj=self._view, skip=True, selectSet=[through])
        single = [collector.ObjectSpec(obj=each) for each in (content.rootFolder, content.customFieldsManager) if each]
        self._collector, self._version = content.propertyCollector.CreatePropertyCollector(), ""
        for objects, watched in (([all_of_it], WATCHED), (single, SINGLE)):
            spec = collector.FilterSpec(objectSet=objects, propSet=self._properties(watched))
            # Whole properties, never parts of one: what they are made into is kept, not they themselves.
            self._collector.CreateFilter(spec, False)

    def _properties(self, watched: Mapping[str, Mapping[str, Convert]]) -> Sequence[Any]:
        collector = library().vmodl.query.PropertyCollector
        return [
            collector.PropertySpec(type=_type(name), pathSet=[path for path in paths if path not in self._unknown])
            for name, paths in watched.items()
        ]

    def _leave_out(self, fault: Any) -> None:
        """Go on without a property that an older server does not have."""
        name = str(fault.name)
        if name in self._unknown or not any(name in paths for paths in (*WATCHED.values(), *SINGLE.values())):
            raise fault
        log.info("vSphere at %s has no property %s", self._session.where, name)
        self._unknown.add(name)
        self._collector.DestroyPropertyCollector()
        self._create()

    def _forget(self) -> None:
        for each, destroy in ((self._collector, "DestroyPropertyCollector"), (self._view, "DestroyView")):
            if each is not None:
                try:
                    getattr(each, destroy)()
                except library().vmodl.MethodFault as fault:
                    log.debug("vSphere at %s has lost %s already: %s", self._session.where, destroy[7:], fault.msg)
        self._collector = self._view = None

    def _read(self, objects: Sequence[Any], paths: Mapping[str, Sequence[str]]) -> Sequence[Any]:
        """Return objects with some properties, at once; what does not exist any more is left out."""
        collector = library().vmodl.query.PropertyCollector
        spec = collector.FilterSpec(
            objectSet=[collector.ObjectSpec(obj=each) for each in objects],
            propSet=[collector.PropertySpec(type=_type(name), pathSet=list(some)) for name, some in paths.items()],
            reportMissingObjectsInResults=True,
        )
        ask = self._session.content.propertyCollector
        result = ask.RetrievePropertiesEx([spec], collector.RetrieveOptions(maxObjects=PAGE))
        found: list[Any] = []
        while result is not None:
            found += result.objects
            result = ask.ContinueRetrievePropertiesEx(result.token) if result.token else None
        return found

    # --- what is answered

    def _changes(self, update: Any) -> Iterator[Change]:
        kind, number = _kind(update.obj), object_id(update.obj)
        paths = self._paths(update.obj)
        if paths is None:
            return
        if update.kind == "leave":
            yield Change(kind, number, {}, left=True)
            return
        if any(change.name not in paths for change in update.changeSet):
            yield from self._anew(update.obj, paths)
            return
        values = {change.name: _value(paths[change.name], change) for change in update.changeSet}
        values |= {missing.path: None for missing in update.missingSet}
        yield Change(kind, number, values, entered=update.kind == "enter")

    def _anew(self, managed: Any, paths: Mapping[str, Convert]) -> Iterator[Change]:
        """Yield all of an object of which the server told a part of a property."""
        kind = _kind(managed)
        wanted = [path for path in paths if path not in self._unknown]
        for each in self._read([managed], {kind: wanted}):
            yield _change(each.obj, each.propSet, paths, entered=True)

    def _paths(self, managed: Any) -> Mapping[str, Convert] | None:
        if managed == self._session.content.rootFolder:
            return SINGLE["Folder"]
        kind = _kind(managed)
        return WATCHED.get(_BASES.get(kind, kind)) or SINGLE.get(kind)


@contextmanager
def _lost() -> Iterator[None]:
    try:
        yield
    except (library().vmodl.query.InvalidCollectorVersion, library().vmodl.fault.ManagedObjectNotFound) as fault:
        raise WatchLostError("the server has forgotten what is watched") from fault


def _type(name: str) -> Any:
    vim = library().vim
    if name == "Alarm":
        return vim.alarm.Alarm
    return getattr(vim.dvs if name in _IN_DVS else vim, name)


def _kind(managed: Any) -> str:
    return str(type(managed).__name__.rpartition(".")[2])


def _change(managed: Any, properties: Sequence[Any], paths: Mapping[str, Convert], *, entered: bool = False) -> Change:
    values = {each.name: _value(paths[each.name], each) for each in properties if each.name in paths}
    return Change(_kind(managed), object_id(managed), values, entered=entered)


def _value(convert: Convert, change: Any) -> object:
    """Return what a property is made into; None for one that is not there, or not what it is to be."""
    if change.val is None or getattr(change, "op", "assign") in {"remove", "indirectRemove"}:
        return None
    try:
        return convert(change.val)
    except (AttributeError, TypeError, ValueError, KeyError, OverflowError) as error:
        log.debug("the property %s can't be read: %s", change.name, error)
        return None
