"""Certificates: who they name, what they may do, how long they last, and who can read the keys."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from metaconsole import pki
from shared.certificates import leaf_in
from shared.tls import METACONSOLE_NAME, SatelliteIdentity

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WHO = SatelliteIdentity(7, uuid.UUID("01234567-89ab-cdef-0123-456789abcdef"))


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def purposes(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def identity_in(path: Path) -> SatelliteIdentity:
    leaf = leaf_in(path)
    assert leaf is not None
    return leaf.identity


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pki.open_authority(tmp_path, NOW)
    return tmp_path


def test_authority_signs_and_nothing_below_it_does(folder: Path) -> None:
    authority = load(folder / "ca.pem")
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(True, 0)
    assert authority.not_valid_after_utc - NOW == pki.CA_LIFE
    assert pki.open_authority(folder, NOW).certificate == authority


def test_gateway_is_the_metaconsoles_name_and_a_server_alone(folder: Path) -> None:
    assert pki.renew_gateway(folder, NOW)
    gateway = load(folder / "gateway.pem")
    gateway.verify_directly_issued_by(load(folder / "ca.pem"))
    assert names(gateway).get_values_for_type(x509.DNSName) == [METACONSOLE_NAME]
    assert purposes(gateway) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_satellite_is_its_uri_and_a_client_alone(folder: Path, tmp_path: Path) -> None:
    assert pki.renew_satellite(folder, tmp_path, WHO, NOW)
    satellite = load(tmp_path / "satellite.pem")
    satellite.verify_directly_issued_by(load(tmp_path / "trust.pem"))
    assert names(satellite).get_values_for_type(x509.UniformResourceIdentifier) == [WHO.uri]
    assert purposes(satellite) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert identity_in(tmp_path / "satellite.pem") == WHO


def test_keys_are_private(folder: Path) -> None:
    pki.renew_gateway(folder, NOW)
    pki.renew_satellite(folder, folder, WHO, NOW)
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.glob("*.key")} == {
        "ca.key": 0o600, "gateway.key": 0o600, "satellite.key": 0o600
    }  # fmt: skip


@pytest.mark.parametrize(("days", "issued"), [(0, False), (59, False), (61, True), (200, True)])
def test_certificates_are_issued_anew_in_their_last_third(folder: Path, days: int, issued: bool) -> None:
    pki.renew_gateway(folder, NOW)
    pki.renew_satellite(folder, folder, WHO, NOW)
    assert pki.renew_gateway(folder, NOW + timedelta(days=days)) is issued
    assert pki.renew_satellite(folder, folder, WHO, NOW + timedelta(days=days / 3)) is issued


def test_another_satellite_gets_a_certificate_of_its_own(folder: Path) -> None:
    pki.renew_satellite(folder, folder, WHO, NOW)
    other = SatelliteIdentity(7, uuid.uuid4())
    assert pki.renew_satellite(folder, folder, other, NOW)
    assert identity_in(folder / "satellite.pem") == other


def test_half_written_pair_is_issued_again(folder: Path) -> None:
    pki.renew_gateway(folder, NOW)
    (folder / "gateway.pem").write_text("-----BEGIN CERT")
    assert pki.renew_gateway(folder, NOW)
    assert load(folder / "gateway.pem").not_valid_after_utc > NOW


def test_foreign_certificate_names_no_satellite(folder: Path, tmp_path: Path) -> None:
    pki.renew_gateway(folder, NOW)
    assert leaf_in(folder / "gateway.pem") is None
    assert leaf_in(tmp_path / "nothing.pem") is None
