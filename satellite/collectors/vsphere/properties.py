"""Named properties of some objects, read in pages.

The one promise: only what was named is read, and what vanished meanwhile costs nothing but a call.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from satellite.collectors.vsphere.library import library, object_id
from satellite.collectors.vsphere.querying import BrokenError, Call, around, broken
from satellite.collectors.vsphere.session import Session
from satellite.collectors.vsphere.targets import Target

T = TypeVar("T")
Measure: TypeAlias = Callable[[Mapping[str, Any]], T]  # from the properties of an object to what is wanted of it
_PAGE: Final = 500
_REPEATS: Final = 16


async def read_properties(
    call: Call, session: Session, targets: Sequence[Target], paths: Sequence[str], measure: Measure[T]
) -> list[tuple[Target, T]]:
    """Return what is measured of each target; all are of one type. Raises SourceError, as Query.ask."""
    found: list[tuple[Target, T]] = []
    repeats = _REPEATS
    failed: BrokenError | None = None
    parts = [list(targets[start : start + _PAGE]) for start in range(0, len(targets), _PAGE)]
    while parts:
        part = parts.pop()
        try:
            found += await _pages(call, session, part, paths, measure)
        except BrokenError as error:
            failed = failed if error.entity else error
            parts += around(part, error.entity) if repeats > 0 else []
            repeats -= 1
    if failed is not None and not found:
        raise failed
    return found


async def _pages(
    call: Call, session: Session, targets: Sequence[Target], paths: Sequence[str], measure: Measure[T]
) -> list[tuple[Target, T]]:
    by_id = {target.id: target for target in targets}
    found: list[tuple[Target, T]] = []
    token: str | None = None
    for _ in targets:  # a page has one object at least; a server that goes on for ever is not followed
        page, token = await call(_page, session, targets, paths, token, measure)
        found += [(by_id.pop(name), value) for name, value in page if name in by_id]
        if not token:
            break
    return found


def _page(
    session: Session, targets: Sequence[Target], paths: Sequence[str], token: str | None, measure: Measure[T]
) -> tuple[list[tuple[str, T]], str | None]:
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
        objects = (
            [(object_id(each.obj), {one.name: one.val for one in each.propSet}) for each in result.objects]
            if result
            else []
        )
        token = result.token if result else None
    with session.errors():
        return [(name, measure(values)) for name, values in objects], token
