"""GET /api/v1/sites.

The one promise: only sites within the scope of who asks.
"""

from typing import Any, Final, Literal

from apiflask import APIBlueprint
from pydantic import Field

from metaconsole.web.security import current_principal, signed_in
from metaconsole.web.services import services
from metaconsole.web.shapes import Listed, Shape
from metaconsole.web.sites import view

api: Final = APIBlueprint("api_sites", __name__, url_prefix="/api/v1", tag="sites")


class Site(Shape):
    """A place with its own failure domain."""

    id: str
    name: str
    title: str
    state: Literal["ok", "degraded", "unknown"] = Field(description="unknown: none of its satellites is heard of")
    resources: dict[str, dict[str, int]] = Field(description="how many, by kind and state")
    satellites: int
    satellites_seen: int
    sources: int
    sources_ok: int


class Sites(Listed[Site]):
    """Sites."""


@api.get("/sites")
@signed_in
@api.output(Sites)
@api.doc(operation_id="listSites")
def index() -> dict[str, Any]:
    """List the sites and how they stand."""
    with services().database.read() as connection:
        return {"items": view.sites(connection, current_principal().scope), "next": None}
