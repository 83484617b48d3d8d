"""The metaconsole's own certificate authority, and the certificates of its gateway and its satellites.

The promise: a gateway is known by one DNS name and a satellite by one URI, both signed here; private keys are
0600 from their first byte; what is short-lived is issued anew before it ends.
"""

import datetime as dt
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shared.tls import METACONSOLE_NAME, SatelliteIdentity, parse_identity

CA_LIFE: Final = dt.timedelta(days=3652)
GATEWAY_LIFE: Final = dt.timedelta(days=90)
SATELLITE_LIFE: Final = dt.timedelta(days=90)
_BACKDATE: Final = dt.timedelta(minutes=10)  # clocks that are a little behind


@dataclass(frozen=True, slots=True)
class Authority:
    """The authority's certificate and key, loaded."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def open_authority(pki: Path, now: dt.datetime) -> Authority:
    """Load the authority in the folder, or make it on first use."""
    certificate, key = pki / "ca.pem", pki / "ca.key"
    if not certificate.exists():
        _make_authority(certificate, key, now)
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{key} is not an elliptic curve key")
    return Authority(x509.load_pem_x509_certificate(certificate.read_bytes()), loaded)


def renew_gateway(pki: Path, now: dt.datetime) -> bool:
    """Issue the gateway's certificate unless more than a third of its life is left; tell whether it was issued."""
    if _is_fresh(pki / "gateway.pem", now):
        return False
    authority = open_authority(pki, now)
    names = x509.SubjectAlternativeName([x509.DNSName(METACONSOLE_NAME)])
    pair = _issue(authority, METACONSOLE_NAME, names, ExtendedKeyUsageOID.SERVER_AUTH, now, GATEWAY_LIFE)
    _write_pair(pki / "gateway.pem", pki / "gateway.key", pair)
    return True


def renew_satellite(pki: Path, folder: Path, identity: SatelliteIdentity, now: dt.datetime) -> bool:
    """Issue a satellite's certificate into its folder unless the one there is fresh and names this satellite.

    Writes satellite.pem, satellite.key and trust.pem; tells whether a certificate was issued.
    """
    authority = open_authority(pki, now)
    _write(folder / "trust.pem", authority.certificate.public_bytes(serialization.Encoding.PEM))
    if _is_fresh(folder / "satellite.pem", now) and identity_in(folder / "satellite.pem") == identity:
        return False
    _write_pair(folder / "satellite.pem", folder / "satellite.key", satellite_pair(authority, identity, now))
    return True


def satellite_pair(authority: Authority, identity: SatelliteIdentity, now: dt.datetime) -> tuple[bytes, bytes]:
    """Issue a satellite's certificate; returns it and its new key as PEM."""
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity.uri)])
    title = str(identity.satellite_id)
    return _issue(authority, title, names, ExtendedKeyUsageOID.CLIENT_AUTH, now, SATELLITE_LIFE)


def identity_in(certificate: Path) -> SatelliteIdentity | None:
    """Return the satellite that a certificate file names; None without a file or a name."""
    try:
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
        names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return parse_identity(names.get_values_for_type(x509.UniformResourceIdentifier)[0])
    except (OSError, ValueError, IndexError, x509.ExtensionNotFound):
        return None


def _is_fresh(certificate: Path, now: dt.datetime) -> bool:
    try:
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError):
        return False
    life = loaded.not_valid_after_utc - loaded.not_valid_before_utc
    return loaded.not_valid_before_utc <= now and loaded.not_valid_after_utc - now > life / 3


def _make_authority(certificate: Path, key_file: Path, now: dt.datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Nephoscope certificate authority")])
    signed = (
        _builder(name, name, key.public_key(), now, CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write_pair(certificate, key_file, _pem(signed, key))


def _issue(
    authority: Authority, title: str, names: x509.SubjectAlternativeName, purpose: x509.ObjectIdentifier,
    now: dt.datetime, life: dt.timedelta,
) -> tuple[bytes, bytes]:  # fmt: skip
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title)])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    signed = (
        _builder(subject, authority.certificate.subject, key.public_key(), now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(names, critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return _pem(signed, key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime, life: dt.timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _pem(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> tuple[bytes, bytes]:
    """Return both as PEM."""
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    encoded = key.private_bytes(serialization.Encoding.PEM, form, plain)
    return certificate.public_bytes(serialization.Encoding.PEM), encoded


def _write_pair(certificate_file: Path, key_file: Path, pair: tuple[bytes, bytes]) -> None:
    """Write the key first: a certificate without its key would look finished after a crash."""
    certificate, key = pair
    certificate_file.unlink(missing_ok=True)
    _write(key_file, key)
    _write(certificate_file, certificate)


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
