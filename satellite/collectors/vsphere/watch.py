"""What changes at a server, told by the server itself: a property collector of our own over one view of everything.

The one promise: everything is read once, in pages; after that nothing travels but what changed.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from satellite.collector import SourceError
from satellite.collectors.vsphere.asking import PAGE, UNREADABLE, Asking
from satellite.collectors.vsphere.facts import Convert
from satellite.collectors.vsphere.library import clean, library, object_id, reference
from satellite.collectors.vsphere.paths import ROOT, SINGLE, WATCHED
from satellite.collectors.vsphere.picture import Change
from satellite.collectors.vsphere.session import Session

log = logging.getLogger(__name__)

_ALARM_NAME: Final = "info.name"
_BASES: Final = {"OpaqueNetwork": "Network"}  # types that have no paths of their own


class WatchLostError(SourceError):
    """What we watch is to be begun anew: the server has forgotten it, or it was something that can't be read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What changed since the last answer; more: the rest of it waits already."""

    changes: Sequence[Change]
    more: bool


class Watch:
    """Every method blocks, for a thread of the source; one thread at a time."""

    def __init__(self, session: Session) -> None:
        """Prepare; nothing is asked yet."""
        self._session, self._asking = session, Asking(session)
        self._collector: Any = None
        self._view: Any = None
        self._version = ""

    def begin(self) -> None:
        """Let the server watch, from the beginning. Raises SourceError."""
        with self._session.errors():
            self._forget(("DestroyView", self._view), ("DestroyPropertyCollector", self._collector))
            self._view = self._asking.view()
            self._create()

    def ask(self, seconds: float) -> Answer:
        """Return what changed, after so many seconds at most. Raises WatchLostError and other SourceErrors."""
        with self._session.errors(), _lost():
            update = self._wait(seconds)
            if update is None:
                return Answer((), more=False)
            found = [change for part in update.filterSet for each in part.objectSet for change in self._changes(each)]
            self._version = update.version
            return Answer(found, more=bool(update.truncated))

    def alarm_names(self, refs: Sequence[str]) -> Mapping[str, str]:
        """Return the names of alarms by their references; one that can't be seen has its id. Raises SourceError."""
        names = {ref: ref.partition(":")[2] for ref in refs}
        alarms = [library().vim.alarm.Alarm(name, self._session.stub) for name in names.values()]
        with self._session.errors():
            for each in self._asking.read(alarms, {"Alarm": [_ALARM_NAME]}):
                names |= {reference(each.obj): clean(str(change.val), 100) for change in each.propSet}
        return names

    def root_alarms(self) -> Change | None:
        """Return the alarms anew: the vendor does not promise to tell of their changes. Raises SourceError."""
        paths = SINGLE["Folder"]
        with self._session.errors():
            found = self._asking.read([self._session.content.rootFolder], {"Folder": self._asking.paths(paths)})
        changes = (_change(each.obj, each.propSet, paths) for each in found)
        return next((replace(change, values={ROOT: None, **change.values}) for change in changes), None)

    def _create(self) -> None:
        """Create the collector with its filters; what an older server lacks is left out."""
        while True:
            self._collector, self._version = self._session.content.propertyCollector.CreatePropertyCollector(), ""
            try:
                for each in self._asking.filters(self._view):
                    # Whole properties, never parts of one: what they are made into is kept, not they themselves.
                    self._collector.CreateFilter(each, False)
            except library().vmodl.query.InvalidProperty as fault:
                self._give_up(fault)
            else:
                return

    def _wait(self, seconds: float) -> Any:
        options = library().vmodl.query.PropertyCollector.WaitOptions(
            maxWaitSeconds=round(seconds), maxObjectUpdates=PAGE
        )
        while True:
            try:
                return self._collector.WaitForUpdatesEx(self._version, options)
            except library().vmodl.query.InvalidProperty as fault:
                self._give_up(fault)
                self._create()
            except UNREADABLE as error:
                if not self._asking.leave_out_unreadable(self._view):
                    raise
                raise WatchLostError("something could not be read, and is left out from now on") from error

    def _give_up(self, fault: Any) -> None:
        self._asking.leave_out(fault)
        self._forget(("DestroyPropertyCollector", self._collector))

    def _forget(self, *destroyed: tuple[str, Any]) -> None:
        for method, each in destroyed:
            try:
                if each is not None:
                    getattr(each, method)()
            except library().vmodl.MethodFault as fault:
                log.debug("vSphere at %s has forgotten by itself: %s: %s", self._session.where, method, fault.msg)

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
        for each in self._asking.read([managed], {_kind(managed): self._asking.paths(paths)}):
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
