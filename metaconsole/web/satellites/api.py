"""GET /api/v1/satellites.

The one promise: only satellites of sites within the scope of who asks.
"""

from typing import Any, Final, Literal

from apiflask import APIBlueprint
from pydantic import Field

from metaconsole.web.satellites import view
from metaconsole.web.security import current_principal, signed_in
from metaconsole.web.services import services
from metaconsole.web.shapes import Listed, Milliseconds, Shape

api: Final = APIBlueprint("api_satellites", __name__, url_prefix="/api/v1", tag="satellites")


class ReaderPosition(Shape):
    """How far a reader of the log is behind the newest row of the satellite."""

    reader: str
    ordinal: int
    behind: int


class Satellite(Shape):
    """The process that collects for a site."""

    id: str
    name: str
    site: str
    state: Literal["seen", "unknown", "never", "revoked"]
    created: Milliseconds
    seen_at: Milliseconds | None
    connected_at: Milliseconds | None
    peer: str
    version: str
    clock_offset_ms: int = Field(description="its clock minus ours")
    head: int = Field(description="ordinal of its newest row in the log")
    spool_frames: int = Field(description="frames not acknowledged at its last heartbeat")
    spool_bytes: int = Field(description="of them")
    spool_bound_bytes: int | None = Field(description="what its spool may hold; null where it does not tell")
    spool_kept_bytes: int | None = Field(description="acknowledged, kept for a restored metaconsole; gives way")
    spool_full_seconds: int | None = Field(
        description="until its spool or the disk is full, at the rate of the last minutes; null while it does not grow"
    )
    spool_dropped_frames: int = Field(description="since its start, because the spool or the disk was full")
    spool_dropped_samples: int
    disk_free_bytes: int | None = Field(description="where its spool lies")
    oldest_unsent: Milliseconds | None
    backfill_rate: float = Field(description="bytes a second of what could not be sent before; 0 when none waits")
    backfill_ends: Milliseconds | None = Field(description="when all of it will be here at this rate")
    lag_ms: int = Field(description="how long its oldest unsent frame had waited at its last heartbeat")
    frames_produced: int
    frames_refused: int
    rss_bytes: float
    cpu_seconds: float
    readers: list[ReaderPosition]


class Satellites(Listed[Satellite]):
    """Satellites."""


@api.get("/satellites")
@signed_in
@api.output(Satellites)
@api.doc(operation_id="listSatellites")
def index() -> dict[str, Any]:
    """List the satellites and their health."""
    with services().database.read() as connection:
        return {"items": view.satellites(connection, current_principal().scope), "next": None}
