"""The satellite's certificate, its key and what it trusts, as files; and a request for a new certificate.

The one promise: the private key is drawn here and leaves this machine never.
"""

import datetime as dt
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from shared.certificates import BACKDATE, Leaf, leaf_in, new_key, private_pem, read_leaf
from shared.pairs import is_pair, load_pair, replace_pair, write_private
from shared.pb import enrolment_pb2

_MOST_BYTES: Final = 64 * 1024  # of a bundle


class CertificateError(Exception):
    """The certificate can't be used, or the one that came is not ours; the sentence says why."""


class Named(Protocol):
    """What of satellite.toml is needed here."""

    @property
    def site(self) -> str:
        """The site's name."""
        ...

    @property
    def name(self) -> str:
        """The satellite's name."""
        ...

    @property
    def certificate(self) -> Path:
        """The certificate's file."""
        ...

    @property
    def key(self) -> Path:
        """The key's file."""
        ...

    @property
    def trust(self) -> Path:
        """The file of the authorities that are trusted."""
        ...


class Request:
    """A new key, and the request that is to be signed; names in it would not count, so it has none."""

    def __init__(self) -> None:
        key = new_key()
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
        self.key_pem = private_pem(key)
        self.der = request.public_bytes(serialization.Encoding.DER)

    def accept(self, answer: enrolment_pb2.Certificate) -> Leaf:
        """Check that what came certifies our key, and return what it says; raises CertificateError."""
        try:
            if not is_pair(answer.certificate_pem, self.key_pem):
                raise CertificateError("the metaconsole certified another key than ours")
            if not 0 < len(answer.trust_bundle_pem) <= _MOST_BYTES:
                raise CertificateError("the metaconsole sent no authorities to trust")
            x509.load_pem_x509_certificates(answer.trust_bundle_pem)
            return read_leaf(x509.load_pem_x509_certificate(answer.certificate_pem))
        except ValueError as error:
            raise CertificateError(f"the metaconsole sent a certificate that can't be read: {error}") from error


class CertificateFiles:
    """The three files that satellite.toml names."""

    def __init__(self, config: Named, now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)) -> None:
        self._config, self._now = config, now

    def load(self) -> tuple[bytes, bytes, bytes]:
        """Return certificate, key and trust as PEM; raises OSError."""
        try:
            pair = load_pair(self._config.certificate, self._config.key)
        except ValueError as error:
            raise OSError(f"the certificate can't be used: {error}") from error
        return *pair, self._config.trust.read_bytes()

    def leaf(self) -> Leaf | None:
        """Return what the certificate says, None where it can't be read."""
        return leaf_in(self._config.certificate)

    def replace(self, request: Request, answer: enrolment_pb2.Certificate) -> None:
        """Take a new certificate. Trust comes first: it holds the authorities of before for as long as those count."""
        write_private(self._config.trust, answer.trust_bundle_pem)
        replace_pair(self._config.certificate, self._config.key, (answer.certificate_pem, request.key_pem))

    def trust_sha256(self) -> bytes:
        """Return the SHA-256 of the bundle that is trusted now, empty where it can't be read."""
        try:
            return hashlib.sha256(self._config.trust.read_bytes()).digest()
        except OSError:
            return b""

    def unusable(self) -> str:
        """Return why no metaconsole will take our certificate, with what helps; empty when nothing is wrong with it."""
        leaf, now = self.leaf(), self._now()
        if leaf is None:
            return ""
        if leaf.ends <= now:
            return (
                f"this satellite's certificate ended on {leaf.ends:%Y-%m-%d %H:%M} UTC, and this machine's clock says "
                f"{now:%Y-%m-%d %H:%M}: set the clock if that is wrong (timedatectl set-ntp true), else join again in "
                f"this folder, with a token of nephoscope satellite token {self._config.site} "
                f"--satellite {self._config.name}; what waits in the spool is kept"
            )
        if now < leaf.begins:
            return (
                f"this machine's clock says {now:%Y-%m-%d %H:%M} UTC, and this satellite's certificate is valid from "
                f"{leaf.begins + BACKDATE:%Y-%m-%d %H:%M} to {leaf.ends:%Y-%m-%d %H:%M}: set the clock "
                "(timedatectl set-ntp true)"
            )
        return ""
