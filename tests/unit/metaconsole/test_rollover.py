"""A change of the authority that is cut off or disturbed, and when certificates are renewed."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from cryptography import x509

from metaconsole import pki, rollover
from metaconsole.locking import try_lock
from metaconsole.rollover import RolloverError
from shared.certificates import Leaf
from shared.pairs import replace_pair
from shared.tls import SatelliteIdentity

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pki.renew_gateway(tmp_path, NOW)
    return tmp_path


def signer_of_the_gateway(folder: Path) -> x509.Name:
    return x509.load_pem_x509_certificate((folder / "gateway.pem").read_bytes()).issuer


def test_satellites_are_signed_by_the_new_one_at_once_and_gateways_in_the_end(folder: Path) -> None:
    old = pki.open_authority(folder, NOW)
    new = rollover.begin(folder, NOW)
    assert pki.signing_authority(folder, NOW).certificate == new.certificate
    assert pki.trust_bundle(folder) == old.pem + new.pem
    assert not rollover.keep_gateway(folder, NOW)
    assert signer_of_the_gateway(folder) == old.certificate.subject
    assert rollover.finish(folder, NOW).certificate == new.certificate
    assert pki.open_authority(folder, NOW).certificate == new.certificate
    assert pki.trust_bundle(folder) == new.pem
    assert signer_of_the_gateway(folder) == new.certificate.subject
    assert {file.name for file in folder.iterdir()} == {"ca.pem", "ca.key", "gateway.pem", "gateway.key", "lock"}


def test_an_end_that_was_cut_off_is_taken_up_again(folder: Path) -> None:
    new = rollover.begin(folder, NOW)
    pair = (folder / "ca-next.pem").read_bytes(), (folder / "ca-next.key").read_bytes()
    replace_pair(folder / "ca.pem", folder / "ca.key", pair)
    with pytest.raises(RolloverError, match="under way"):
        rollover.begin(folder, NOW)
    rollover.finish(folder, NOW)
    assert signer_of_the_gateway(folder) == new.certificate.subject
    assert pki.next_authority(folder) is None
    with pytest.raises(RolloverError, match="no change"):
        rollover.finish(folder, NOW)


def test_one_process_at_a_time_changes_certificates(folder: Path) -> None:
    held = try_lock(folder / "lock")
    assert held is not None
    due = NOW + timedelta(days=61)
    with pytest.raises(RolloverError, match="try again"):
        rollover.begin(folder, NOW)
    assert not rollover.keep_gateway(folder, due)
    os.close(held)
    assert rollover.keep_gateway(folder, due)


def test_a_gateway_without_the_authority_s_key_leaves_its_certificate_alone(folder: Path) -> None:
    (folder / "ca.key").unlink()
    before = (folder / "gateway.pem").read_bytes()
    assert not rollover.keep_gateway(folder, NOW + timedelta(days=61))
    assert (folder / "gateway.pem").read_bytes() == before


def test_satellites_renew_after_two_thirds_give_or_take_a_tenth() -> None:
    identity = SatelliteIdentity(1, UUID(int=1))
    leaf = Leaf(identity, 0, "", NOW, NOW + timedelta(days=30))
    assert leaf.renew_at() == NOW + timedelta(days=20)
    assert leaf.renew_at(0.1) == NOW + timedelta(days=22)
    assert leaf.renew_at(-0.1) == NOW + timedelta(days=18)
