"""The satellites under /api/v1/satellites: how they do, tokens to join with, and revocation.

The one promise: only satellites of sites within the scope of who asks, and changes only where that is an administrator.
"""

from typing import Any, Final, Literal

from apiflask import APIBlueprint
from flask import Response
from pydantic import Field

from metaconsole.web.satellites import administer, view
from metaconsole.web.satellites.administer import TokenWanted
from metaconsole.web.security import current_principal, signed_in
from metaconsole.web.services import services
from metaconsole.web.shapes import Listed, Milliseconds, Shape
from shared.protocol import Skew

api: Final = APIBlueprint("api_satellites", __name__, url_prefix="/api/v1", tag="satellites")


class ReaderPosition(Shape):
    """How far a reader of the log is behind the newest row of the satellite."""

    reader: str
    ordinal: int
    behind: int


class Rival(Shape):
    """A second process with the identity of a satellite: it is turned away as long as the first one is served."""

    seen_at: Milliseconds = Field(description="when it was turned away last")
    peer: str
    version: str
    process: str = Field(description="the beginning of its number, as logs have it")


class RefusedSeries(Shape):
    """Series of a satellite that are refused because the site has as many series, or resources, as it may have."""

    definitions: int = Field(description="how many are refused now")
    for_resources: int = Field(description="of them: those of new resources, for which there is no room")
    at: Milliseconds = Field(description="when the newest were refused")
    source: str = Field(description="of most of the newest; so are kind, metric and label")
    kind: str
    metric: str
    label: str = Field(description="with the most new values: an attribute's name, or empty for the resource's key")
    label_values: int = Field(description="of the label, among the newest")


class LeftOutResources(Shape):
    """New resources that a satellite told of and that are left out because the site has as many as it may have."""

    resources: int = Field(description="once for each message, since it connected or its newest full inventory")
    at: Milliseconds = Field(description="when some of the source and kind were left out last")
    source: str = Field(description="that told most of them, of that kind")
    kind: str
    of_these: int = Field(description="how many it told of that kind")


class Satellite(Shape):
    """The process that collects for a site."""

    id: str
    name: str
    site: str
    state: Literal["seen", "unknown", "never", "revoked", "refused"]
    created: Milliseconds
    joined: Milliseconds | None = Field(description="when it joined last with a token; null for never")
    certificate_until: Milliseconds | None = Field(description="when the certificate ends that it used or got last")
    revoked: Milliseconds | None
    revoked_by: str
    seen_at: Milliseconds | None
    connected_at: Milliseconds | None
    peer: str
    version: str
    skew: Skew | None = Field(
        description="how its protocol stands to ours; too_old and too_new are refused; null where it is not known"
    )
    rival: Rival | None = Field(description="another process that holds its identity and is not served")
    clock_offset_ms: int = Field(description="its clock minus ours; samples are stored as it stamps them")
    clock_uncertainty_ms: int | None = Field(description="of that; null where only one way was measured")
    clock_state: Literal["ok", "warning", "critical"] = Field(description="beyond 2 s and 60 s, with hysteresis")
    clock_since: Milliseconds | None = Field(description="when its clock was last judged otherwise; null for never")
    head: int = Field(description="ordinal of its newest row in the log")
    spool_frames: int = Field(description="frames not acknowledged at its last heartbeat")
    spool_bytes: int = Field(description="of them")
    spool_bound_bytes: int | None = Field(description="what its spool may hold; null where it does not tell")
    spool_kept_bytes: int | None = Field(description="acknowledged, kept for a restored metaconsole; gives way")
    spool_full_seconds: int | None = Field(
        description="until its spool or the disk is full, at the rate of the last minutes; null while it does not grow"
    )
    spool_dropped_frames: int | None = Field(description="since its start, because the spool or the disk was full")
    spool_dropped_samples: int | None
    disk_free_bytes: int | None = Field(description="where its spool lies")
    oldest_unsent: Milliseconds | None
    backfill_rate: float | None = Field(
        description="bytes a second of what could not be sent before; 0 when none waits, null where it does not tell"
    )
    backfill_ends: Milliseconds | None = Field(description="when all of it will be here at this rate")
    lag_ms: int = Field(description="how long its oldest unsent frame had waited at its last heartbeat")
    frames_produced: int
    frames_refused: int
    reconciled: Milliseconds | None = Field(
        description="when what it produced was last compared with what is stored; null for never"
    )
    reconciled_samples: int = Field(description="in all that it told then")
    missing_frames: int = Field(description="of the last 35 days, refused and dropped ones among them")
    refused_series: RefusedSeries | None = Field(description="null where none is refused now")
    refused_samples: int = Field(description="of the last 35 days, of such series, in frames that are stored otherwise")
    left_out_resources: LeftOutResources | None = Field(description="null where none is left out")
    site_series: int = Field(description="in the dictionary of its site")
    site_series_quota: int = Field(description="how many the site may have")
    site_resources: int = Field(description="of its site, those that are gone and kept among them")
    site_resources_quota: int = Field(description="how many the site may have")
    epochs_refused: Milliseconds | None = Field(
        description="when it was turned away last because it starts over and over; null where not in the last 5 minutes"
    )
    rss_bytes: float
    cpu_seconds: float
    readers: list[ReaderPosition]


class JoinToken(Shape):
    """A join token; it is told this once."""

    token: str
    command: str = Field(description="to run at the site; it asks for the token")
    satellite: str = Field(description="name")
    expires: Milliseconds


class OpenToken(Shape):
    """A join token that nobody used yet, without its secret."""

    id: str = Field(description="its beginning is what logs and the audit trail show")
    site: str
    satellite: str = Field(description="name")
    takes_back: bool = Field(description="whether it is for a satellite that exists")
    created_by: str
    created: Milliseconds
    expires: Milliseconds


class OpenTokens(Listed[OpenToken]):
    """Join tokens."""


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


@api.post("/satellites/tokens")
@signed_in("admin")
@api.input(TokenWanted, location="json", arg_name="wanted")
@api.output(JoinToken, status_code=201)
@api.doc(operation_id="createJoinToken", responses={403: "Not an administrator of the site", 409: "It can't be made"})
def create_token(wanted: TokenWanted) -> dict[str, Any]:
    """Make a token with which a satellite joins, once."""
    made = administer.make_token(wanted)
    return {"token": made.token, "command": made.command, "satellite": made.name, "expires": made.expires}


@api.get("/satellites/tokens")
@signed_in("admin")
@api.output(OpenTokens)
@api.doc(operation_id="listJoinTokens")
def list_tokens() -> dict[str, Any]:
    """List the join tokens that nobody used yet, of the sites that you administer."""
    items = [{name: getattr(one, name) for name in OpenToken.model_fields} for one in administer.tokens_of_mine()]
    return {"items": items, "next": None}


@api.delete("/satellites/tokens/<token_id>")
@signed_in("admin")
@api.output({}, status_code=204)
@api.doc(operation_id="withdrawJoinToken", responses={404: "No such token that is still good"})
def withdraw_token(token_id: str) -> Response:
    """Let nobody join with a token any more."""
    administer.withdraw_token(token_id)
    return Response(status=204)


@api.post("/satellites/<satellite_id>/revoke")
@signed_in("admin")
@api.output({}, status_code=204)
@api.doc(operation_id="revokeSatellite", responses={404: "No such satellite", 409: "It is revoked already"})
def revoke(satellite_id: str) -> Response:
    """Take nothing from a satellite any more; its session ends within seconds. A new token undoes it."""
    administer.revoke(satellite_id)
    return Response(status=204)
