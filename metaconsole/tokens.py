"""Join tokens as an administrator makes them, from the command line or through the API.

The one promise: the secret is in what is returned, and nowhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509

from metaconsole.store import enrolment
from metaconsole.store.audit import Actor
from metaconsole.store.database import Connection
from metaconsole.store.enrolment import EnrolmentError, Wanted
from shared.addresses import split
from shared.certificates import pin_of
from shared.join_token import JoinToken, digest, new_secret

HOURS: Final = 1.0
MOST_HOURS: Final = 7 * 24.0


@dataclass(frozen=True, slots=True)
class Made:
    """A new token, the command that takes it, whose it is, and when it ends in UTC milliseconds."""

    token: str
    command: str
    name: str
    expires: int


def make(
    connection: Connection,
    pki: Path,
    actor: Actor,
    site: str,
    *,
    address: str,
    name: str | None = None,
    satellite: str | None = None,
    hours: float = HOURS,
    uplinks: Sequence[str] = (),
) -> Made:
    """Make a token for a new satellite of a site, or with `satellite` for one that takes its identity back.

    address is HOST:PORT by which the site reaches the enrolment port. Raises EnrolmentError; the caller commits.
    """
    if name is not None and satellite is not None:
        raise EnrolmentError(
            "a token is for a new satellite (a name) or for one that exists (a satellite), not for both"
        )
    if not address:
        raise EnrolmentError(
            "where satellites join is not known here: name HOST:PORT by which the site reaches the enrolment port "
            "(--address), 7444 unless the gateway says otherwise"
        )
    if not 0 < hours <= MOST_HOURS:
        raise EnrolmentError(f"a token is good for at most {MOST_HOURS:g} hours")
    for one in (address, *uplinks):
        split(one)
    try:
        authority = x509.load_pem_x509_certificate((pki / "ca.pem").read_bytes())
    except (OSError, ValueError) as error:
        raise EnrolmentError(f"the certificate authority can't be read: {error}") from error
    secret, host = new_secret(), split(address)[0]
    wanted = Wanted(site, name, satellite, hours, host, uplinks)
    named, expires = enrolment.create_token(connection, actor, digest(secret), wanted)
    token = JoinToken(address, site, secret, pin_of(authority)).encode()
    return Made(token, f"nephoscope satellite join --out {named}", named, expires)
