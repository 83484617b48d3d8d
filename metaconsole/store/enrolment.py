"""Join tokens and what becomes of them: satellites that join, take their identity back, renew, and are revoked.

The one promise: a token is used once, however many try at the same moment, and whoever comes later is told so; each
change is on the audit trail in its own transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from metaconsole.store import audit
from metaconsole.store.database import Connection
from metaconsole.store.scope import EVERYTHING, Scope
from metaconsole.store.sites import check_name
from metaconsole.store.sql import statements
from shared.tls import SatelliteIdentity

_SQL: Final = statements("enrolment")


_UNKNOWN: Final = "the token is not known to this metaconsole: make a new one, nephoscope satellite token SITE"


class EnrolmentError(ValueError):
    """It can't be done; the sentence says why and what to do."""


class ReusedError(EnrolmentError):
    """A token was presented a second time: it may have been stolen."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A token to be made: for a new satellite (its name, or None for the next free one), or for one that comes back."""

    site: str
    name: str | None
    satellite: str | None
    hours: float
    host: str
    uplinks: Sequence[str]


@dataclass(frozen=True, slots=True)
class Admission:
    """A satellite that may have a certificate; host and uplinks are its token's, and empty when it renews."""

    identity: SatelliteIdentity
    generation: int
    site: str
    name: str
    host: str = ""
    uplinks: Sequence[str] = ()


def create_token(connection: Connection, actor: audit.Actor, token_hash: bytes, wanted: Wanted) -> tuple[str, int]:
    """Keep a token; returns the satellite's name and when the token ends, in UTC ms. Raises EnrolmentError."""
    site_id = find_site(connection, wanted.site)
    satellite_id: UUID | None = None
    if wanted.satellite is not None:
        name, satellite_id = wanted.satellite, _satellite(connection, site_id, wanted.site, wanted.satellite)
    else:
        name = _free_name(connection, site_id, wanted)
    connection.execute(_SQL["forget_tokens"])
    values = {
        "token_hash": token_hash,
        "site_id": site_id,
        "satellite_id": satellite_id,
        "name": name,
        "host": wanted.host,
        "uplinks": list(wanted.uplinks),
        "created_by": actor.name,
        "hours": wanted.hours,
    }
    row = connection.execute(_SQL["create_token"], values).fetchone()
    assert row is not None
    detail = {"hours": wanted.hours, "takes_back": satellite_id is not None, "token": token_hash[:4].hex()}
    audit.append(connection, actor.entry("satellite.token", f"{wanted.site}/{name}", detail))
    return name, int(row[0])


def consume_token(connection: Connection, site: str, token_hash: bytes, peer: str, folder: UUID | None) -> Admission:
    """Use a token of a site up; folder is the identity in the folder that joins again.

    Raises EnrolmentError, ReusedError. The caller commits, after it has made the certificate; whatever is raised leaves
    the token as it was.
    """
    found = connection.execute(_SQL["find_site"], {"site": site}).fetchone()
    if found is None:
        raise EnrolmentError(_UNKNOWN)
    site_id = int(found[0])
    token = {"site_id": site_id, "token_hash": token_hash, "peer": peer}
    row = connection.execute(_SQL["consume_token"], token).fetchone()
    if row is None:
        raise _refusal(connection, site, site_id, token_hash)
    satellite_id, name, host, uplinks, created_by = row
    if folder is not None and folder != satellite_id:
        raise EnrolmentError(
            f"the token is for {'another' if satellite_id else 'a new'} satellite, and this folder has one already: "
            "name another folder, or make the token with --satellite NAME to take its identity back"
        )
    who = {"site_id": site_id, "satellite_id": satellite_id, "name": name}
    made = connection.execute(_SQL["take_back" if satellite_id else "create_satellite"], who).fetchone()
    if made is None:
        raise EnrolmentError(
            f"site {site} has a satellite {name} meanwhile: make a new token, with another --name or with "
            f"--satellite {name} to take its identity back"
        )
    audit.append(
        connection,
        audit.Entry(
            "satellite", "satellite.join", f"{site}/{name}", peer,
            {"token": token_hash[:4].hex(), "token_by": created_by, "takes_back": satellite_id is not None},
        ),
    )  # fmt: skip
    return Admission(SatelliteIdentity(site_id, made[0]), int(made[1]), site, name, host, list(uplinks))


def admit_renewal(connection: Connection, identity: SatelliteIdentity, generation: int) -> Admission:
    """Return who renews; raises EnrolmentError for who is revoked, unknown, or of before a taking back."""
    who = {"site_id": identity.site_id, "satellite_id": identity.satellite_id}
    row = connection.execute(_SQL["may_renew"], who).fetchone()
    if row is None:
        raise EnrolmentError(f"satellite {identity.satellite_id} of site {identity.site_id} is not known here")
    name, site, revoked_at, newest = row
    if revoked_at is not None:
        raise EnrolmentError(f"satellite {name} of site {site} was revoked on {_at(revoked_at)}: nothing is renewed")
    if generation < newest:
        raise EnrolmentError(f"the identity of satellite {name} of site {site} was taken back: nothing is renewed")
    return Admission(identity, int(newest), site, name)


def certified(connection: Connection, admission: Admission, until: datetime, authority: str) -> None:
    """Note the certificate that a satellite gets."""
    identity = admission.identity
    values = {
        "site_id": identity.site_id,
        "satellite_id": identity.satellite_id,
        "until": until,
        "authority": authority,
    }
    connection.execute(_SQL["certified"], values)


def note_reuse(connection: Connection, site: str, token_hash: bytes, peer: str) -> None:
    """Put on the audit trail that a token was presented again."""
    detail = {"token": token_hash[:4].hex()}
    audit.append(connection, audit.Entry("unknown", "satellite.token_reused", site, peer, detail))


def revoke(connection: Connection, actor: audit.Actor, site: str, name: str) -> None:
    """Take a satellite's right to connect away, and its tokens that nobody used; raises EnrolmentError."""
    site_id = find_site(connection, site)
    who = {"site_id": site_id, "satellite_id": _satellite(connection, site_id, site, name), "actor": actor.name}
    if connection.execute(_SQL["revoke"], who).fetchone() is None:
        raise EnrolmentError(f"satellite {name} of site {site} is revoked already")
    connection.execute(_SQL["revoke_tokens"], who)
    audit.append(connection, actor.entry("satellite.revoke", f"{site}/{name}", {}))


def find_site(connection: Connection, site: str, readable: Scope = EVERYTHING) -> int:
    """Return the id of a site; raises EnrolmentError, the same for none and for one that may not be seen."""
    row = connection.execute(_SQL["find_site"], {"site": site}).fetchone()
    if row is None or not readable.allows(row[0]):
        raise EnrolmentError(f"there is no site {site!r}: nephoscope site add makes one, site list shows them")
    return int(row[0])


def find_by_id(connection: Connection, satellite_id: UUID) -> tuple[int, str, str] | None:
    """Return the site's id, the site and the name of a satellite, or None."""
    row: Any = connection.execute(_SQL["find_by_id"], {"satellite_id": satellite_id}).fetchone()
    return None if row is None else (int(row[0]), str(row[1]), str(row[2]))


def generation_of(connection: Connection, identity: SatelliteIdentity) -> int:
    """Return which generation the certificates of a satellite have now."""
    who = {"site_id": identity.site_id, "satellite_id": identity.satellite_id}
    row = connection.execute(_SQL["generation"], who).fetchone()
    return int(row[0]) if row else 0


def lacking(connection: Connection, trust: bytes, authority: str) -> list[tuple[str, str, int]]:
    """Return site, name and end of the certificate (UTC ms) of those who are not ready for the authority's change."""
    rows = connection.execute(_SQL["lacking"], {"trust": trust, "authority": authority}).fetchall()
    return [(str(site), str(name), int(until)) for site, name, until in rows]


def _satellite(connection: Connection, site_id: int, site: str, name: str) -> UUID:
    row = connection.execute(_SQL["find_satellite"], {"site_id": site_id, "name": name}).fetchone()
    if row is None:
        raise EnrolmentError(f"site {site} has no satellite {name!r}: the page Satellites lists them")
    found: UUID = row[0]
    return found


def _free_name(connection: Connection, site_id: int, wanted: Wanted) -> str:
    used = {name for (name,) in connection.execute(_SQL["names_in_use"], {"site_id": site_id}).fetchall()}
    if wanted.name is None:
        # The site's name may be as long as a name can be.
        names = (f"{wanted.site[:56]}-{number}" for number in range(1, len(used) + 2))
        return next(name for name in names if name not in used)
    check_name(wanted.name)
    if wanted.name in used:
        raise EnrolmentError(
            f"the name {wanted.name} is taken at site {wanted.site}, by a satellite or by a token that is still good: "
            f"choose another --name, or take the satellite's identity back with --satellite {wanted.name}"
        )
    return wanted.name


def _refusal(connection: Connection, site: str, site_id: int, token_hash: bytes) -> EnrolmentError:
    row = connection.execute(_SQL["find_token"], {"site_id": site_id, "token_hash": token_hash}).fetchone()
    if row is None:
        return EnrolmentError(_UNKNOWN)
    name, satellite_id, used_at, used_from, expires_at = row
    again = f"nephoscope satellite token {site} --satellite {name}" if satellite_id or used_at else (
        f"nephoscope satellite token {site}"
    )  # fmt: skip
    if used_at is not None:
        return ReusedError(
            f"the token was used already, on {_at(used_at)} from {used_from}; if that was not this machine, revoke the "
            f"satellite (nephoscope satellite revoke {site} {name}); make a new token: {again}"
        )
    return EnrolmentError(f"the token expired on {_at(expires_at)}: make a new one, {again}")


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
