"""What an administrator does with satellites, through the API and on the pages: tokens to join with, and revocation.

The one promise: only where who asks is an administrator, and on the audit trail under their name.
"""

from uuid import UUID

from flask import request
from pydantic import Field

from metaconsole import tokens
from metaconsole.addresses import network_of
from metaconsole.auth.principal import NOTHING
from metaconsole.store import enrolment, open_tokens
from metaconsole.store.audit import Actor
from metaconsole.store.database import Connection
from metaconsole.store.open_tokens import OpenToken
from metaconsole.store.scope import Scope
from metaconsole.web.errors import Problem
from metaconsole.web.security import current_principal
from metaconsole.web.services import services
from metaconsole.web.shapes import Shape


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


def administered() -> Scope:
    """Return the sites of which who asks is an administrator."""
    return current_principal().scopes.get("admin", NOTHING)


def make_token(wanted: TokenWanted) -> tokens.Made:
    """Make a token; raises Problem."""
    settings = services().settings
    try:
        with services().database.write() as connection:
            _require(enrolment.find_site(connection, wanted.site, current_principal().scope))
            return tokens.make(
                connection, settings.pki, _actor(), wanted.site,
                address=wanted.address or settings.enrol_address, name=wanted.name, satellite=wanted.satellite,
                hours=wanted.hours, uplinks=wanted.uplinks,
            )  # fmt: skip
    except ValueError as error:
        raise Problem(409, f"{error}.") from error


def tokens_of_mine() -> list[OpenToken]:
    """Return the tokens that nobody used yet."""
    with services().database.read() as connection:
        return open_tokens.open_tokens(connection, administered())


def withdraw_token(token_id: str) -> None:
    """Let nobody join with a token any more; raises Problem."""
    try:
        with services().database.write() as connection:
            open_tokens.withdraw(connection, _actor(), token_id, administered())
    except enrolment.EnrolmentError as error:
        raise Problem(404, "There is no such token that is still good.") from error


def revoke(satellite_id: str) -> None:
    """Take nothing from a satellite any more; raises Problem."""
    try:
        with services().database.write() as connection:
            site, name = named(connection, satellite_id)
            enrolment.revoke(connection, _actor(), site, name)
    except enrolment.EnrolmentError as error:
        raise Problem(409, f"{error}.") from error


def named(connection: Connection, satellite_id: str) -> tuple[str, str]:
    """Return site and name of a satellite that who asks administers; raises Problem."""
    try:
        found = enrolment.find_by_id(connection, UUID(satellite_id))
    except ValueError:
        found = None
    if found is None or not current_principal().scope.allows(found[0]):
        raise Problem(404, "There is no such satellite, or it belongs to a site that you may not see.")
    _require(found[0])
    return found[1], found[2]


def _require(site_id: int) -> None:
    if not administered().allows(site_id):
        raise Problem(403, "This needs the right to admin at that site, which you don't have.")


def _actor() -> Actor:
    return Actor(current_principal().name, network_of(request.remote_addr or ""))
