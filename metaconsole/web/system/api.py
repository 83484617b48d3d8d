"""/healthz, /readyz and /metrics for supervisors, load balancers and Prometheus; how the storage does.

The one promise: none of them tells a secret, and ready means that what a page needs is there.
"""

from typing import Any, Final

from apiflask import APIBlueprint
from flask import Response, jsonify, request
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from pydantic import Field

from metaconsole import storage_report
from metaconsole.store import overview, stats
from metaconsole.store.pool import StoreTooSlowError, StoreUnavailableError
from metaconsole.store.stats_forecast import forecast
from metaconsole.web.errors import Problem
from metaconsole.web.security import current_principal, is_loopback, public, signed_in
from metaconsole.web.services import services
from metaconsole.web.shapes import Shape
from metaconsole.web.system.figures import Figures

api: Final = APIBlueprint("api_system", __name__, tag="system")
_OPENMETRICS: Final = {"application/openmetrics-text": {"schema": {"type": "string"}}}
_RESPONSES: Final[dict[int | str, Any]] = {
    200: {"description": "OpenMetrics", "content": _OPENMETRICS},
    401: {"description": "Asked from another machine without a token"},
}


class Health(Shape):
    """The process answers."""

    status: str


class Readiness(Shape):
    """Whether everything works together, else why not."""

    ready: bool
    reasons: list[str]


class StorageTier(Shape):
    """What a tier takes."""

    tier: str
    bytes: int
    growth_bytes_per_day: float | None = Field(description="null until sizes were noted on two days")


class StorageTable(Shape):
    """What a table takes, its partitions included."""

    table: str
    tier: str
    partitions: int
    bytes: int
    heap_bytes: int
    index_bytes: int
    toast_bytes: int


class Storage(Shape):
    """Every byte of the database, and when its disk will be full."""

    total_bytes: int
    catalogue_bytes: int = Field(description="PostgreSQL's own catalogues")
    file_bytes: int = Field(description="in the database's folder and in no table")
    tiers: list[StorageTier]
    tables: list[StorageTable]
    free_bytes: int | None = Field(description="of the disk; null where it is not known")
    growth_bytes_per_day: float | None
    full_days: float | None = Field(description="null where it is not known, or nothing grows")
    unknown: str = Field(description="why something is not known; empty when all is")


@api.get("/healthz")
@public
@api.output(Health)
@api.doc(operation_id="getHealth")
def healthz() -> dict[str, Any]:
    """Say that this process lives."""
    return {"status": "ok"}


@api.get("/readyz")
@public
@api.output(Readiness)
@api.doc(operation_id="getReadiness", responses={503: "Not ready; the reasons are told"})
def readyz() -> Response:
    """Say whether database, gateway, readers and at least one satellite work together."""
    try:
        with services().database.read() as connection:
            reasons = overview.not_ready(connection)
    except (StoreUnavailableError, StoreTooSlowError):
        reasons = ["The database can't be reached."]
    response = jsonify({"ready": not reasons, "reasons": reasons})
    response.status_code = 503 if reasons else 200
    response.headers["Cache-Control"] = "no-store"
    return response


@api.get("/metrics")
@public
@api.doc(operation_id="getMetrics", responses=_RESPONSES)
def metrics() -> Response:
    """Return figures of the metaconsole itself; from another machine a token is needed."""
    if not is_loopback(request.remote_addr) and not current_principal().may("read"):
        raise Problem(403, "This needs the right to read.")
    registry = CollectorRegistry(auto_describe=False)
    with services().database.read() as connection:
        registry.register(Figures(connection))
        body: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return Response(body, content_type=CONTENT_TYPE_LATEST)


@api.get("/api/v1/system/storage")
@signed_in
@api.output(Storage)
@api.doc(operation_id="getStorage", responses={403: "Not all sites are within your scope"})
def storage() -> dict[str, Any]:
    """Account for the database's bytes by tier and table, and tell when the disk will be full."""
    if current_principal().scope.sites is not None:
        raise Problem(403, "This needs the right to read all sites: the tables hold all of them.")
    with services().database.read() as connection:
        return storage_report.storage(stats.sizes(connection), forecast(connection))
