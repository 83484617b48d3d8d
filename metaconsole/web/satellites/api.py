"""The satellites under /api/v1/satellites: how they do, tokens to join with, and revocation.

The one promise: only satellites of sites within the scope of who asks, and changes only where that is an administrator.
"""

from typing import Any, Final, Literal
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response, request
from pydantic import Field

from metaconsole import tokens
from metaconsole.addresses import network_of
from metaconsole.auth.principal import NOTHING
from metaconsole.store import enrolment
from metaconsole.store.audit import Actor
from metaconsole.store.database import Connection
from metaconsole.web.errors import Problem
from metaconsole.web.satellites import view
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
    clock_offset_ms: int = Field(description="its clock minus ours")
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
    rss_bytes: float
    cpu_seconds: float
    readers: list[ReaderPosition]


class TokenWanted(Shape):
    """For whom a join token is: a new satellite, or with `satellite` one that takes its identity back."""

    site: str = Field(max_length=63)
    name: str | None = Field(None, max_length=63, description="of the new satellite; null for the next free one")
    satellite: str | None = Field(None, max_length=63, description="name of the one that takes its identity back")
    hours: float = Field(tokens.HOURS, gt=0, le=tokens.MOST_HOURS)
    address: str | None = Field(
        None, max_length=260, description="HOST:PORT by which the site reaches the enrolment port; null: as up listens"
    )
    uplinks: list[str] = Field([], max_length=8, description="HOST:PORT of gateways; empty for the address's host")


class JoinToken(Shape):
    """A join token; it is told this once."""

    token: str
    command: str = Field(description="to run at the site; it asks for the token")
    satellite: str = Field(description="name")
    expires: Milliseconds


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
    settings = services().settings
    try:
        with services().database.write() as connection:
            _administer(enrolment.find_site(connection, wanted.site, current_principal().scope))
            made = tokens.make(
                connection, settings.pki, _actor(), wanted.site,
                address=wanted.address or settings.enrol_address, name=wanted.name, satellite=wanted.satellite,
                hours=wanted.hours, uplinks=wanted.uplinks,
            )  # fmt: skip
    except ValueError as error:
        raise Problem(409, f"{error}.") from error
    return {"token": made.token, "command": made.command, "satellite": made.name, "expires": made.expires}


@api.post("/satellites/<satellite_id>/revoke")
@signed_in("admin")
@api.output({}, status_code=204)
@api.doc(operation_id="revokeSatellite", responses={404: "No such satellite", 409: "It is revoked already"})
def revoke(satellite_id: str) -> Response:
    """Take nothing from a satellite any more; its session ends within seconds. A new token undoes it."""
    try:
        with services().database.write() as connection:
            site, name = _named(connection, satellite_id)
            enrolment.revoke(connection, _actor(), site, name)
    except enrolment.EnrolmentError as error:
        raise Problem(409, f"{error}.") from error
    return Response(status=204)


def _named(connection: Connection, satellite_id: str) -> tuple[str, str]:
    try:
        found = enrolment.find_by_id(connection, UUID(satellite_id))
    except ValueError:
        found = None
    if found is None or not current_principal().scope.allows(found[0]):
        raise Problem(404, "There is no such satellite, or it belongs to a site that you may not see.")
    _administer(found[0])
    return found[1], found[2]


def _administer(site_id: int) -> None:
    if not current_principal().scopes.get("admin", NOTHING).allows(site_id):
        raise Problem(403, "This needs the right to admin at that site, which you don't have.")


def _actor() -> Actor:
    return Actor(current_principal().name, network_of(request.remote_addr or ""))
