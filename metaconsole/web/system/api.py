"""/healthz, /readyz and /metrics: for supervisors, load balancers and Prometheus.

The one promise: none of them tells a secret, and ready means that what a page needs is there.
"""

from typing import Any, Final

from apiflask import APIBlueprint
from flask import Response, jsonify, request
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from metaconsole.store import overview
from metaconsole.store.pool import StoreTooSlowError, StoreUnavailableError
from metaconsole.web.errors import Problem
from metaconsole.web.security import current_principal, is_loopback, public
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
