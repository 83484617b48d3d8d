"""What both ends read in certificates: who they name, who signed them, how long they last.

The one promise: nothing here decides whether a certificate is to be trusted; that is done in the handshake.
"""

import contextlib
import datetime as dt
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.tls import SatelliteIdentity, parse_identity

BACKDATE: Final = dt.timedelta(minutes=10)  # certificates begin before they are made, for clocks that are behind
_RENEW_AT: Final = 2 / 3  # of its life


@dataclass(frozen=True, slots=True)
class Leaf:
    """What the certificate of a satellite says; authority is hex of the key identifier of who signed it."""

    identity: SatelliteIdentity
    generation: int  # how many times before the identity was taken back
    authority: str
    begins: dt.datetime
    ends: dt.datetime

    def renew_at(self, jitter: float = 0.0) -> dt.datetime:
        """Return when to renew: after two thirds of its life, by the fraction jitter of that later."""
        return self.begins + (self.ends - self.begins) * (_RENEW_AT * (1 + jitter))


def pin_of(certificate: x509.Certificate) -> bytes:
    """Return the SHA-256 of the SubjectPublicKeyInfo: the same when the same key is certified anew."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(certificate.public_key().public_bytes(serialization.Encoding.DER, form)).digest()


def read_leaf(certificate: x509.Certificate) -> Leaf:
    """Return what a satellite's certificate says; raises ValueError for one that names no satellite."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        (uri,) = names.get_values_for_type(x509.UniformResourceIdentifier)
        signer = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except x509.ExtensionNotFound as error:
        raise ValueError(f"the certificate names no satellite: {error}") from error
    return Leaf(
        identity=parse_identity(uri),
        generation=_generation(certificate),
        authority=(signer.key_identifier or b"").hex(),
        begins=certificate.not_valid_before_utc,
        ends=certificate.not_valid_after_utc,
    )


def leaf_in(certificate: Path) -> Leaf | None:
    """Return what the certificate in a file says; None without a file, or when it names no satellite."""
    try:
        return read_leaf(x509.load_pem_x509_certificate(certificate.read_bytes()))
    except (OSError, ValueError):
        return None


def key_identifier(certificate: x509.Certificate) -> str:
    """Return what the certificates that it signs call it, as hex."""
    with contextlib.suppress(x509.ExtensionNotFound):
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex()
    return x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest.hex()


def new_key() -> ec.EllipticCurvePrivateKey:
    """Draw a private key."""
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key as PEM."""
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, plain)


def _generation(certificate: x509.Certificate) -> int:
    numbers = certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
    return int(numbers[0].value) if numbers else 0
