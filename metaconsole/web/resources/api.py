"""Resources: the list, one of them, its series, events, relations and gaps.

The one promise: a resource outside the scope of who asks is answered as if it did not exist.
"""

from typing import Any, Final, Literal

from apiflask import APIBlueprint
from pydantic import Field, model_validator

from metaconsole.store import dictionary, resources
from metaconsole.web.resources import view
from metaconsole.web.security import current_principal, signed_in
from metaconsole.web.services import services
from metaconsole.web.shapes import Attributes, Listed, ListQuery, Milliseconds, Shape
from shared.model import Kind

api: Final = APIBlueprint("api_resources", __name__, url_prefix="/api/v1", tag="resources")
LAST_MS: Final = 2**53


class ResourceQuery(ListQuery):
    """Which resources."""

    kind: Kind | None = None
    site: str | None = Field(None, max_length=63, description="name of a site")
    source: str | None = Field(None, max_length=200, description="name of a source")
    q: str | None = Field(None, max_length=200, description="part of the name, or the beginning of an identity")


class Identity(Shape):
    """Evidence of what a resource is."""

    type: str
    value: str
    strength: int


class Resource(Shape):
    """Something observed."""

    id: str
    kind: str
    name: str
    site: str
    source: str
    state: str = Field(description="unknown while nobody sees it; last_state is what it was then")
    last_state: str
    state_reason: str
    state_since: Milliseconds
    first_seen: Milliseconds
    removed: Milliseconds | None
    stale: bool = Field(description="nothing newer than two intervals of its poll plans was seen")
    attributes: Attributes
    identities: list[Identity]


class Resources(Listed[Resource]):
    """Resources."""


class SeriesItem(Shape):
    """A series."""

    id: str
    metric: str
    unit: str
    kind: Literal["gauge", "counter", "state"]
    attributes: dict[str, str]
    first: Milliseconds
    last: Milliseconds | None = Field(description="time of the newest value")
    interval_ms: int | None
    value: float | None = Field(description="the newest value; null when older than two intervals")


class SeriesItems(Listed[SeriesItem]):
    """Series."""


class EventItem(Shape):
    """Something that happened."""

    id: str
    time: Milliseconds
    type: str
    severity: str
    message: str
    source: str
    attributes: Attributes


class EventItems(Listed[EventItem]):
    """Events, newest first."""


class RelatedResource(Shape):
    """The other end of a relation."""

    id: str
    kind: str
    name: str
    state: str


class RelationItem(Shape):
    """A relation that holds now."""

    type: str
    direction: Literal["out", "in"]
    resource: RelatedResource


class RelationItems(Listed[RelationItem]):
    """Relations."""


class Span(Shape):
    """A range of time."""

    from_ms: int = Field(alias="from", ge=0, le=LAST_MS, description="UTC milliseconds, included")
    to_ms: int = Field(alias="to", ge=0, le=LAST_MS, description="UTC milliseconds, excluded")

    @model_validator(mode="after")
    def _ascends(self) -> "Span":
        if self.from_ms >= self.to_ms:
            raise ValueError("from lies before to")
        return self


class GapItem(Shape):
    """A span in which something was not seen, and why."""

    id: str
    from_ms: Milliseconds = Field(alias="from")
    to_ms: Milliseconds = Field(alias="to")
    reason: str
    detail: str
    plan: str
    source: str | None
    scope: Literal["resource", "source", "satellite"]


class GapItems(Listed[GapItem]):
    """Gaps, oldest first."""


@api.get("/resources")
@signed_in
@api.input(ResourceQuery, location="query", arg_name="wanted")
@api.output(Resources)
@api.doc(operation_id="listResources")
def index(wanted: ResourceQuery) -> dict[str, Any]:
    """List the resources that are there now, by site, kind and name."""
    narrowed = resources.Filter(wanted.kind, wanted.site, wanted.source, wanted.q)
    with services().database.read() as connection:
        page = resources.list_resources(connection, current_principal().scope, narrowed, wanted.cursor, wanted.limit)
        return {"items": view.present(connection, page.items), "next": page.next}


@api.get("/resources/<resource>")
@signed_in
@api.output(Resource)
@api.doc(operation_id="getResource", responses=[404])
def show(resource: str) -> dict[str, Any]:
    """Return one resource as it was last known."""
    with services().database.read() as connection:
        row = resources.get_resource(connection, current_principal().scope, resource)
        return view.present(connection, [row])[0]


@api.get("/resources/<resource>/series")
@signed_in
@api.output(SeriesItems)
@api.doc(operation_id="listSeries", responses=[404])
def series(resource: str) -> dict[str, Any]:
    """List the series of a resource with their newest values."""
    scope = current_principal().scope
    with services().database.read() as connection:
        row = resources.get_resource(connection, scope, resource)
        found = dictionary.series_of(connection, scope, [row.id])
        return {"items": view.present_series(connection, found), "next": None}


@api.get("/resources/<resource>/events")
@signed_in
@api.input(ListQuery, location="query", arg_name="wanted")
@api.output(EventItems)
@api.doc(operation_id="listEvents", responses=[404])
def events(resource: str, wanted: ListQuery) -> dict[str, Any]:
    """List the events of a resource, newest first."""
    with services().database.read() as connection:
        found, following = resources.events(
            connection, current_principal().scope, resource, wanted.cursor, wanted.limit
        )
    return {"items": [_fields(event) for event in found], "next": following}


@api.get("/resources/<resource>/relations")
@signed_in
@api.output(RelationItems)
@api.doc(operation_id="listRelations", responses=[404])
def relations(resource: str) -> dict[str, Any]:
    """List the relations of a resource that hold now, in both directions."""
    with services().database.read() as connection:
        found = resources.relations(connection, current_principal().scope, resource)
        return {"items": view.present_related(connection, found), "next": None}


@api.get("/resources/<resource>/gaps")
@signed_in
@api.input(Span, location="query", arg_name="span")
@api.output(GapItems)
@api.doc(operation_id="listGaps", responses=[404])
def gaps(resource: str, span: Span) -> dict[str, Any]:
    """List the gaps that overlap a range: of the resource, of its sources, and of the satellites that poll these."""
    with services().database.read() as connection:
        found = resources.gaps(connection, current_principal().scope, resource, span.from_ms, span.to_ms)
    return {"items": [_fields(gap) for gap in found], "next": None}


def _fields(row: resources.EventRow | resources.GapRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__slots__}
