"""Signing requests: only a strong key whose holder signed counts, and nothing else that is written there."""

import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from metaconsole import pki
from metaconsole.signing_request import REQUEST_BYTES, RequestError, key_of
from satellite.certificate import Request
from shared.certificates import read_leaf
from shared.tls import SatelliteIdentity

WHO = SatelliteIdentity(7, uuid.UUID("01234567-89ab-cdef-0123-456789abcdef"))


def der(builder: x509.CertificateSigningRequestBuilder, key: object, algorithm: object = hashes.SHA256()) -> bytes:
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)  # type: ignore[arg-type]


def plain() -> x509.CertificateSigningRequestBuilder:
    return x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))


def test_what_a_satellite_asks_for_is_accepted() -> None:
    request = Request()
    assert key_of(request.der) == serialization.load_pem_private_key(request.key_pem, None).public_key()


def test_names_and_extensions_of_a_request_are_not_looked_at(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    greedy = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "metaconsole.nephoscope.internal")]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(SatelliteIdentity(8, WHO.satellite_id).uri)]),
            critical=False,
        )
    )
    now = datetime.now(UTC)
    authority = pki.open_authority(tmp_path, now)
    pem = pki.certify_satellite(authority, key_of(der(greedy, key)), WHO, 3, now)
    made = x509.load_pem_x509_certificate(pem)
    made.verify_directly_issued_by(authority.certificate)
    leaf = read_leaf(made)
    assert (leaf.identity, leaf.generation) == (WHO, 3)
    assert made.not_valid_after_utc - now <= pki.SATELLITE_LIFE
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    purposes = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert b"metaconsole" not in made.public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (rsa.generate_private_key(65537, 1024), "RSA with 2048 to 4096 bits"),
        (ec.generate_private_key(ec.SECP521R1()), "P-256, P-384"),
        (dsa.generate_private_key(1024), "P-256, P-384"),
    ],
)
def test_weak_and_strange_keys_are_refused(key: object, why: str) -> None:
    with pytest.raises(RequestError, match=why):
        key_of(der(plain(), key))


def test_an_edwards_key_is_refused() -> None:
    with pytest.raises(RequestError, match="P-256"):
        key_of(der(plain(), ed25519.Ed25519PrivateKey.generate(), None))


def test_a_request_that_another_key_signed_is_refused() -> None:
    mine, stolen = Request(), Request()
    public = serialization.load_pem_private_key(stolen.key_pem, None).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    own = serialization.load_pem_private_key(mine.key_pem, None).public_key()
    forged = mine.der.replace(
        own.public_bytes(serialization.Encoding.DER, form), public.public_bytes(serialization.Encoding.DER, form)
    )
    assert forged != mine.der
    with pytest.raises(RequestError, match="not signed by the key"):
        key_of(forged)


def test_a_request_signed_with_too_little_is_refused() -> None:
    weak = der(plain(), rsa.generate_private_key(65537, 2048), hashes.SHA224())
    with pytest.raises(RequestError, match="SHA-256 or better"):
        key_of(weak)


def test_a_large_request_is_refused_unread() -> None:
    with pytest.raises(RequestError, match="more than"):
        key_of(bytes(REQUEST_BYTES + 1))


@given(st.binary(max_size=500), st.integers(0, 199))
def test_garbage_is_refused_with_a_sentence(garbage: bytes, at: int) -> None:
    valid = Request().der
    for given_bytes in (garbage, valid[:at], valid[:at] + garbage + valid[at:]):
        if given_bytes != valid:
            with pytest.raises(RequestError):
                key_of(given_bytes)
