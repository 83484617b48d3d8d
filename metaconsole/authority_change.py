"""A change of the certificate authority as an administrator sees it: who is ready, and on the audit trail.

The one promise: the change is not finished while an active satellite would be shut out by it, unless that is said.
"""

import datetime as dt
import hashlib
from pathlib import Path

from metaconsole import pki as authorities
from metaconsole import rollover
from metaconsole.company import Company, drop_company, load_company, take_company
from metaconsole.rollover import RolloverError
from metaconsole.store import audit
from metaconsole.store.audit import Actor
from metaconsole.store.database import Connection
from metaconsole.store.enrolment import lacking
from shared.certificates import key_identifier, pin_of

_SHOWN = 20  # names in a sentence


def begin(
    connection: Connection, pki: Path, now: dt.datetime, actor: Actor, imported: tuple[Path, Path] | None
) -> None:
    """Begin a change; raises RolloverError, OSError. The caller commits."""
    following = rollover.begin(pki, now, imported)
    detail = {"pin": pin_of(following.certificate).hex(), "imported": imported is not None}
    audit.append(connection, actor.entry("ca.rotate", "authority", detail))


def finish(connection: Connection, pki: Path, now: dt.datetime, actor: Actor, *, force: bool) -> None:
    """End a change; raises RolloverError with the names of those who are not ready, OSError. The caller commits."""
    late = _late(connection, pki)
    if late and not force:
        names = ", ".join(f"{site}/{name}" for site, name, _ in late[:_SHOWN])
        more = f" and {len(late) - _SHOWN} more" if len(late) > _SHOWN else ""
        raise RolloverError(
            f"{names}{more} would be shut out: let them connect once and wait, revoke them, or say --force, after "
            "which each of them needs a new token"
        )
    # Before it is done: an entry that can't be written prevents it, and one that was written is true once it commits.
    shut_out = [f"{site}/{name}" for site, name, _ in late]
    audit.append(connection, actor.entry("ca.finish", "authority", {"shut_out": shut_out}))
    rollover.finish(pki, now)


def take(
    connection: Connection, pki: Path, now: dt.datetime, actor: Actor, files: tuple[Path, Path, Path | None],
    name: str | None,
) -> Company:  # fmt: skip
    """Show a company's certificate from now on; files are it, its key and its authorities. Raises as take_company."""

    def note(found: Company) -> None:
        detail = {"name": found.name, "until": f"{found.ends:%Y-%m-%d}"}
        audit.append(connection, actor.entry("ca.company", "gateways", detail))

    return take_company(pki, files, name, now, note)


def drop(connection: Connection, pki: Path, actor: Actor) -> None:
    """Show it no more; raises as drop_company."""
    audit.append(connection, actor.entry("ca.company", "gateways", {"name": ""}))
    drop_company(pki)


def status(connection: Connection, pki: Path, now: dt.datetime) -> list[str]:
    """Return the state as lines; raises OSError, ValueError."""
    present, following = authorities.open_authority(pki, now), authorities.next_authority(pki)
    lines = [f"authority       {_told(present)}"]
    shown = load_company(pki)
    if shown is not None:
        lines.append(f"of the company  for {shown.name}, until {shown.ends:%Y-%m-%d}")
        lines += [soon] if (soon := shown.ends_soon(now)) else []
    if following is not None:
        lines.append(f"to follow it    {_told(following)}")
    late = _late(connection, pki)
    for site, name, until in late:
        ends = dt.datetime.fromtimestamp(until / 1000, dt.UTC)
        lines.append(f"not ready yet   {site}/{name}, whose certificate ends on {ends:%Y-%m-%d}")
    if following is not None and not late:
        lines.append("all active satellites are ready: nephoscope metaconsole ca finish")
    return lines


def _late(connection: Connection, pki: Path) -> list[tuple[str, str, int]]:
    """Return who does not trust yet what is to be trusted, or is signed by who is to be followed."""
    following = authorities.next_authority(pki)
    if following is None and load_company(pki) is None:
        return []
    signer = following or authorities.load_authority(pki / "ca.pem", pki / "ca.key")
    trust = hashlib.sha256(authorities.trust_bundle(pki)).digest()
    return lacking(connection, trust, key_identifier(signer.certificate))


def _told(authority: authorities.Authority) -> str:
    return f"{pin_of(authority.certificate).hex()} until {authority.certificate.not_valid_after_utc:%Y-%m-%d}"
