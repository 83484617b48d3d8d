"""The metaconsole's own certificate authority, and the certificates of its gateways and its satellites.

The promise: a gateway is known by one DNS name and a satellite by one URI, both signed here; private keys are
0600 from their first byte; what is short-lived is issued anew before it ends.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shared.certificates import BACKDATE, key_identifier, leaf_in, new_key, private_pem
from shared.pairs import load_pair, replace_pair, write_private
from shared.satellite_file import certificate_files
from shared.tls import METACONSOLE_NAME, SatelliteIdentity

CA_LIFE: Final = dt.timedelta(days=3652)
GATEWAY_LIFE: Final = dt.timedelta(days=90)
SATELLITE_LIFE: Final = dt.timedelta(days=30)
PublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Authority:
    """The authority's certificate and key, loaded."""

    certificate: x509.Certificate
    key: PrivateKey

    @property
    def pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def open_authority(pki: Path, now: dt.datetime) -> Authority:
    """Load the authority that signs the gateways in the folder, or make it on first use."""
    if not (pki / "ca.pem").exists() and not (pki / "ca.pem.new").exists():
        replace_pair(pki / "ca.pem", pki / "ca.key", make_authority(now))
    return load_authority(pki / "ca.pem", pki / "ca.key")


def next_authority(pki: Path) -> Authority | None:
    """Load the authority that is to follow, while one is."""
    if not (pki / "ca-next.pem").exists():
        return None
    return load_authority(pki / "ca-next.pem", pki / "ca-next.key")


def signing_authority(pki: Path, now: dt.datetime) -> Authority:
    """Load the authority that signs satellites: the one to follow while there is one, which gateways trust already."""
    return next_authority(pki) or open_authority(pki, now)


def client_authorities(pki: Path) -> bytes:
    """Return, as PEM, the authorities whose satellites gateways let in from now on. Raises OSError."""
    following = pki / "ca-next.pem"
    return (pki / "ca.pem").read_bytes() + (following.read_bytes() if following.exists() else b"")


def trust_bundle(pki: Path) -> bytes:
    """Return, as PEM, the authorities that satellites are to trust from now on. Raises OSError.

    Those of the company are among them where gateways show a certificate of it; they certify no satellite.
    """
    company = pki / "company-ca.pem"
    return client_authorities(pki) + (company.read_bytes() if company.exists() else b"")


def load_authority(certificate: Path, key: Path) -> Authority:
    """Load an authority; raises OSError or ValueError."""
    pair = load_pair(certificate, key)
    loaded = serialization.load_pem_private_key(pair[1], None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError(f"{key} is neither an elliptic curve key nor an RSA key")
    return Authority(x509.load_pem_x509_certificate(pair[0]), loaded)


def renew_gateway(pki: Path, now: dt.datetime) -> bool:
    """Issue the gateway's certificate unless more than a third of its life is left; tell whether it was issued.

    Its authority's stands behind it in the file: who joins finds it there and compares it with a token.
    """
    authority = open_authority(pki, now)
    file = pki / "gateway.pem"
    if _is_fresh(file, authority, now) and authority.pem in file.read_bytes():
        return False
    names = x509.SubjectAlternativeName([x509.DNSName(METACONSOLE_NAME)])
    key, subject = new_key(), _name(METACONSOLE_NAME)
    leaf = _issue(authority, key.public_key(), subject, names, ExtendedKeyUsageOID.SERVER_AUTH, now, GATEWAY_LIFE)
    replace_pair(file, pki / "gateway.key", (leaf + authority.pem, private_pem(key)))
    return True


def renew_satellite(
    pki: Path, folder: Path, identity: SatelliteIdentity, now: dt.datetime, generation: int = 0
) -> bool:
    """Issue a satellite's certificate into its folder unless the one there is fresh and names this satellite.

    Writes certificate, key and trust; tells whether a certificate was issued.
    """
    certificate, key, trust = certificate_files(folder)
    authority = signing_authority(pki, now)
    write_private(trust, trust_bundle(pki))
    leaf = leaf_in(certificate)
    is_own = leaf is not None and (leaf.identity, leaf.generation) == (identity, generation)
    if is_own and _is_fresh(certificate, authority, now):
        return False
    replace_pair(certificate, key, satellite_pair(authority, identity, now, generation))
    return True


def satellite_pair(
    authority: Authority, identity: SatelliteIdentity, now: dt.datetime, generation: int = 0
) -> tuple[bytes, bytes]:
    """Issue a satellite's certificate; returns it and its new key as PEM."""
    key = new_key()
    return certify_satellite(authority, key.public_key(), identity, generation, now), private_pem(key)


def certify_satellite(
    authority: Authority, key: PublicKey, identity: SatelliteIdentity, generation: int, now: dt.datetime
) -> bytes:
    """Return the certificate of a satellite over its key, as PEM: a client's, for SATELLITE_LIFE, and nothing else."""
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity.uri)])
    subject = _name(str(identity.satellite_id), generation)
    return _issue(authority, key, subject, names, ExtendedKeyUsageOID.CLIENT_AUTH, now, SATELLITE_LIFE)


def make_authority(now: dt.datetime) -> tuple[bytes, bytes]:
    """Return the certificate and the key of a new authority as PEM."""
    key = new_key()
    # Each has a name of its own: while one follows another, both are trusted.
    made = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex()[:8]
    name = _name(f"Nephoscope certificate authority {made}")
    signed = (
        _builder(name, name, key.public_key(), now, CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return signed.public_bytes(serialization.Encoding.PEM), private_pem(key)


def _is_fresh(certificate: Path, authority: Authority, now: dt.datetime) -> bool:
    try:
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
        loaded.verify_directly_issued_by(authority.certificate)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, a new one is right
        return False
    life = loaded.not_valid_after_utc - loaded.not_valid_before_utc
    return loaded.not_valid_before_utc <= now and loaded.not_valid_after_utc - now > life / 3


def _issue(
    authority: Authority, key: PublicKey, subject: x509.Name, names: x509.SubjectAlternativeName,
    purpose: x509.ObjectIdentifier, now: dt.datetime, life: dt.timedelta,
) -> bytes:  # fmt: skip
    signer = x509.AuthorityKeyIdentifier(bytes.fromhex(key_identifier(authority.certificate)), None, None)
    ends = min(now + life, authority.certificate.not_valid_after_utc)
    signed = (
        _builder(subject, authority.certificate.subject, key, now, ends - now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(names, critical=False)
        .add_extension(signer, critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return signed.public_bytes(serialization.Encoding.PEM)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, now: dt.datetime, life: dt.timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(title: str, generation: int = 0) -> x509.Name:
    numbered = [x509.NameAttribute(NameOID.SERIAL_NUMBER, str(generation))] if generation else []
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title), *numbered])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
