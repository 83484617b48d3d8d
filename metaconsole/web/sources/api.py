"""GET /api/v1/sources.

The one promise: only sources of sites within the scope of who asks.
"""

from typing import Any, Final

from apiflask import APIBlueprint
from pydantic import Field

from metaconsole.web.security import current_principal, signed_in
from metaconsole.web.services import services
from metaconsole.web.shapes import Listed, Milliseconds, Shape
from metaconsole.web.sources import view

api: Final = APIBlueprint("api_sources", __name__, url_prefix="/api/v1", tag="sources")


class Plan(Shape):
    """A poll plan of a source: how often it is asked."""

    name: str
    interval_seconds: float = Field(description="as configured")
    stretch: int = Field(description="asked once in so many intervals, to keep the source within its budget")
    busy_seconds: float = Field(description="for which its last cycle kept the source busy")


class Source(Shape):
    """A configured endpoint, with what polling it costs. Counts are since its satellite started."""

    id: str
    name: str
    site: str
    satellite: str | None
    collector: str
    state: str = Field(description="ok, failing, opening, paused; unknown when its satellite is not heard of")
    message: str
    first_seen: Milliseconds
    last_success: Milliseconds | None
    cycle_seconds: float
    interval_seconds: float
    calls: int
    errors: int
    overruns: int
    samples: int
    cpu_seconds: float
    plans: list[Plan]
    calls_per_minute: float | None = Field(description="over the last five minutes; null where it is not told")
    bytes_per_minute: float | None = Field(description="both ways; null where the collector counts none")
    busy_per_minute: float | None = Field(description="seconds that the source took to answer")
    budget_used: float | None = Field(description="their share of what the source may be kept busy; 1: all of it")


class Sources(Listed[Source]):
    """Sources."""


@api.get("/sources")
@signed_in
@api.output(Sources)
@api.doc(operation_id="listSources")
def index() -> dict[str, Any]:
    """List the sources, their state and their cost."""
    with services().database.read() as connection:
        return {"items": view.sources(connection, current_principal().scope), "next": None}
