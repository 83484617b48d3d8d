"""GET /api/v1/live: the newest samples of a resource as server-sent events.

The one promise: what the live reader has seen is on its way to the browser without being asked for.
"""

from collections.abc import Callable
from typing import Any, Final

from apiflask import APIBlueprint
from flask import Response, request
from pydantic import Field

from metaconsole.auth import sign_in
from metaconsole.store import resources
from metaconsole.web.live.stream import Watch, samples
from metaconsole.web.security import COOKIE, current_principal, signed_in
from metaconsole.web.services import Services, services
from metaconsole.web.shapes import Shape

api: Final = APIBlueprint("api_live", __name__, url_prefix="/api/v1", tag="live")
_LAST_MS: Final = 2**53
_EVENTS: Final = 'events `samples` with data {"series": [{"id", "times", "values"}]}; `end` when signed out'
_RESPONSES: Final[dict[int | str, Any]] = {
    200: {"description": _EVENTS, "content": {"text/event-stream": {"schema": {"type": "string"}}}},
    404: {"description": "No such resource"},
}


class LiveQuery(Shape):
    """Whose samples, and since when."""

    resource: str = Field(max_length=36)
    since: int | None = Field(None, ge=0, le=_LAST_MS, description="UTC milliseconds; as the header Last-Event-ID")


@api.get("/live")
@signed_in
@api.input(LiveQuery, location="query", arg_name="wanted")
@api.doc(operation_id="watch", responses=_RESPONSES)
def live(wanted: LiveQuery) -> Response:
    """Stream the newest samples of a resource, beginning with those since a time."""
    principal = current_principal()
    with services().database.read() as connection:
        resource = resources.get_resource(connection, principal.scope, wanted.resource)
    present = services()
    watch = Watch(resource.id, principal.scope, _permission(present, resource.site_id))
    return Response(
        samples(present, watch, _last_event() if wanted.since is None else wanted.since),
        mimetype="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _last_event() -> int | None:
    given = request.headers.get("Last-Event-ID", "")
    return min(int(given), _LAST_MS) if given.isascii() and given.isdigit() and len(given) < 20 else None


def _permission(present: Services, site_id: int) -> Callable[[], bool]:
    # Asked again while the stream is open, and outside this request.
    secret, header = request.cookies.get(COOKIE, ""), request.headers.get("Authorization", "")

    def still_allowed() -> bool:
        token = header.partition(" ")[2].strip()
        principal = (
            sign_in.by_token(present.database, token) if header else sign_in.by_session(present.database, secret)
        )
        return principal is not None and principal.scope.allows(site_id)

    return still_allowed
