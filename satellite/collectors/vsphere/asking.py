"""How properties are asked for: specifications of what, and reading at once, in pages.

The one promise: a property that an older server lacks, or that nobody can read, is left out, and costs no other one.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from xml.parsers.expat import ExpatError

from satellite.collectors.vsphere.facts import Convert
from satellite.collectors.vsphere.library import library
from satellite.collectors.vsphere.paths import SINGLE, WATCHED
from satellite.collectors.vsphere.session import Session

log = logging.getLogger(__name__)

PAGE: Final = 500  # objects in an answer
UNREADABLE: Final = (ExpatError, ValueError, TypeError, KeyError, AttributeError)  # of pyvmomi's parser
_IN_VIEW: Final = (
    *("Folder", "Datacenter", "ComputeResource", "HostSystem", "ResourcePool", "VirtualMachine"),
    *("Datastore", "Network", "DistributedVirtualSwitch"),
)
_ELSEWHERE: Final = {
    "DistributedVirtualPortgroup": "dvs",
    "VmwareDistributedVirtualSwitch": "dvs",
    "Alarm": "alarm",
}  # modules of types that are not in vim itself
_Paths = Mapping[str, Mapping[str, Convert]]


class Asking:
    """Every method blocks, and raises what pyvmomi raises; `left_out` grows in use."""

    def __init__(self, session: Session) -> None:
        """Prepare; nothing is asked yet."""
        self.left_out: set[str] = set()  # paths
        self._session = session

    def view(self) -> Any:
        """Return a new view of everything."""
        content = self._session.content
        kinds = [_type(name) for name in _IN_VIEW]
        return content.viewManager.CreateContainerView(content.rootFolder, kinds, True)

    def filters(self, view: Any) -> Sequence[Any]:
        """Return what is to be watched: all objects of a view, and the few that lie in none."""
        return [
            self._filter(objects, {name: self.paths(some) for name, some in watched.items()})
            for objects, watched in self._all(view)
        ]

    def paths(self, paths: Mapping[str, Convert]) -> Sequence[str]:
        """Return the paths that can be asked for."""
        return [path for path in paths if path not in self.left_out]

    def read(self, objects: Sequence[Any], paths: Mapping[str, Sequence[str]]) -> Sequence[Any]:
        """Return objects with some properties, at once; what does not exist any more is left out."""
        spec = library().vmodl.query.PropertyCollector.ObjectSpec
        try:
            return list(self._pages(self._filter([spec(obj=each) for each in objects], paths)))
        except library().vmodl.fault.ManagedObjectNotFound:
            return []

    def leave_out(self, fault: Any) -> None:
        """Ask no more for a property that the server says it does not have. Raises the fault if it is not ours."""
        name = str(fault.name)
        if name in self.left_out or not any(name in paths for paths in (*WATCHED.values(), *SINGLE.values())):
            raise fault
        log.info("vSphere at %s has no property %s", self._session.where, name)
        self.left_out.add(name)

    def leave_out_unreadable(self, view: Any) -> bool:
        """Ask no more for properties in which something can't be read, each tried by itself; return whether any is."""
        before = len(self.left_out)
        for objects, watched in self._all(view):
            for name, paths in watched.items():
                for path in self.paths(paths):
                    self._try(objects, name, path)
        return len(self.left_out) > before

    def _try(self, objects: Sequence[Any], name: str, path: str) -> None:
        try:
            for _ in self._pages(self._filter(objects, {name: [path]})):
                pass
        except UNREADABLE as error:
            log.warning("vSphere at %s: %s of %s can't be read: %s", self._session.where, path, name, str(error)[:300])
            self.left_out.add(path)

    def _all(self, view: Any) -> Iterator[tuple[Sequence[Any], _Paths]]:
        content, collector = self._session.content, library().vmodl.query.PropertyCollector
        through = collector.TraversalSpec(type=library().vim.view.ContainerView, path="view", skip=False)
        yield [collector.ObjectSpec(obj=view, skip=True, selectSet=[through])], WATCHED
        single = (content.rootFolder, content.customFieldsManager)  # an ESXi host has no custom fields
        yield [collector.ObjectSpec(obj=each) for each in single if each is not None], SINGLE

    def _filter(self, objects: Sequence[Any], paths: Mapping[str, Sequence[str]]) -> Any:
        collector = library().vmodl.query.PropertyCollector
        properties = [collector.PropertySpec(type=_type(name), pathSet=list(some)) for name, some in paths.items()]
        return collector.FilterSpec(objectSet=objects, propSet=properties, reportMissingObjectsInResults=True)

    def _pages(self, spec: Any) -> Iterator[Any]:
        ask = self._session.content.propertyCollector
        options = library().vmodl.query.PropertyCollector.RetrieveOptions(maxObjects=PAGE)
        result = ask.RetrievePropertiesEx([spec], options)
        while result is not None:
            yield from result.objects
            result = ask.ContinueRetrievePropertiesEx(result.token) if result.token else None


def _type(name: str) -> Any:
    vim = library().vim
    return getattr(getattr(vim, _ELSEWHERE[name]) if name in _ELSEWHERE else vim, name)
