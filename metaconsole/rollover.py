"""One certificate authority after another, without touching a satellite; docs/operate.md has the steps.

The one promise: at every moment each side's certificate is of an authority that the other side trusts. From `begin`
on, gateways trust both and satellites are signed by the new one, and get a bundle of both with that; gateways' own
certificate changes in `finish`, after which the old one is trusted no more.
"""

import datetime as dt
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cryptography import x509

from metaconsole import pki as authorities
from metaconsole.locking import try_lock
from metaconsole.pki import Authority
from shared.certificates import pin_of
from shared.pairs import discard, replace_pair

_LEAST: Final = dt.timedelta(days=180)  # that an authority of the company must still last


class RolloverError(ValueError):
    """The authority can't be changed now, or not to this one; the sentence says why and what to do."""


def begin(pki: Path, now: dt.datetime, imported: tuple[Path, Path] | None = None) -> Authority:
    """Put an authority beside the present one, a new one or that of two files; raises RolloverError, OSError."""
    with changing(pki):
        present = authorities.open_authority(pki, now)
        if authorities.next_authority(pki) is not None:
            raise RolloverError("a change of the authority is under way: see ca status, and end it with ca finish")
        pair = authorities.make_authority(now) if imported is None else _imported(*imported, now)
        if pin_of(x509.load_pem_x509_certificate(pair[0])) == pin_of(present.certificate):
            raise RolloverError("that is the present authority already")
        replace_pair(pki / "ca-next.pem", pki / "ca-next.key", pair)
        following = authorities.next_authority(pki)
    assert following is not None
    return following


def finish(pki: Path, now: dt.datetime) -> Authority:
    """Put the next authority in the place of the present one; raises RolloverError, OSError.

    Whether all satellites are ready for it is for the caller to know.
    """
    with changing(pki):
        following = authorities.next_authority(pki)
        if following is None:
            raise RolloverError("no change of the authority is under way: ca rotate begins one")
        pair = (pki / "ca-next.pem").read_bytes(), (pki / "ca-next.key").read_bytes()
        replace_pair(pki / "ca.pem", pki / "ca.key", pair)
        authorities.renew_gateway(pki, now)
        discard([pki / "ca-next.pem", pki / "ca-next.key"])
    return following


def keep_gateway(pki: Path, now: dt.datetime) -> bool:
    """Renew the gateways' certificate where it is due, unless another process is at it; tell whether it was renewed.

    Without the authority's key, which is then elsewhere, there is nothing to do here. Raises OSError, ValueError.
    """
    if not (pki / "ca.key").exists():
        return False
    try:
        with changing(pki):
            return authorities.renew_gateway(pki, now)
    except RolloverError:
        return False


@contextmanager
def changing(pki: Path) -> Iterator[None]:
    """Change certificates, one process at a time; raises RolloverError where another one does."""
    held = try_lock(pki / "lock")
    if held is None:
        raise RolloverError("another process is changing certificates at this moment: try again")
    try:
        yield
    finally:
        os.close(held)


def _imported(certificate: Path, key: Path, now: dt.datetime) -> tuple[bytes, bytes]:
    """Return the pair of a company's authority, checked."""
    try:
        loaded = authorities.load_authority(certificate, key)
    except (ValueError, TypeError) as error:
        raise RolloverError(f"{certificate} and {key} can't be used: {error}") from error
    found = loaded.certificate
    try:
        is_authority = found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        usage = found.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound as error:
        raise RolloverError(f"{certificate} is not the certificate of an authority: {error}") from error
    if not is_authority or not usage.key_cert_sign:
        raise RolloverError(f"{certificate} may not sign certificates: its basic constraints or key usage forbid it")
    if found.not_valid_before_utc > now or found.not_valid_after_utc - now < _LEAST:
        raise RolloverError(f"{certificate} must be valid now and for {_LEAST.days} days more")
    return loaded.pem, key.read_bytes()
