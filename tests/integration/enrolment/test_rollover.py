"""One authority after another, with satellites that nobody touches."""

import asyncio
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc.aio
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from fixtures.enrolment import Centre, centre, running
from fixtures.gateway import Place, SessionOverError, channel, make_place, session
from fixtures.waiting import wait_until

from metaconsole import authority_change, pki, rollover
from metaconsole.gateway import uplink
from metaconsole.rollover import RolloverError
from metaconsole.store.audit import COMMAND
from metaconsole.store.database import connect
from satellite import probe
from shared import satellite_file
from shared.certificates import leaf_in
from shared.pairs import is_pair, replace_pair


@pytest.fixture
def place(database_url: str, tmp_path: Path) -> Place:
    return make_place(database_url, tmp_path)


def begin(made: Centre, imported: tuple[Path, Path] | None = None) -> None:
    with connect(made.place.settings.database_url) as connection:
        authority_change.begin(connection, made.place.settings.pki, datetime.now(UTC), COMMAND, imported)


def finish(made: Centre, *, force: bool = False) -> None:
    with connect(made.place.settings.database_url) as connection:
        authority_change.finish(connection, made.place.settings.pki, datetime.now(UTC), COMMAND, force=force)


def status(made: Centre) -> list[str]:
    with connect(made.place.settings.database_url) as connection:
        return authority_change.status(connection, made.place.settings.pki, datetime.now(UTC))


def is_by(leaf: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError):  # ValueError: the names differ
        return False
    return True


def is_whole(folder: Path) -> bool:
    certificate, key, _ = satellite_file.certificate_files(folder)
    return is_pair(certificate.read_bytes(), key.read_bytes())


async def greeted(made: Centre, folder: Path, trust: Path | None = None) -> bool:
    async with channel(made.grpc_port, folder, trust or folder / "trust.pem") as opened, session(opened) as client:
        try:
            await client.hello(process_nonce=os.urandom(16), session_counter=time.time_ns() // 1_000_000)
        except (SessionOverError, grpc.aio.AioRpcError):
            return False
    return True


def test_satellites_follow_from_one_authority_to_the_next_by_themselves(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uplink, "TRUST_SECONDS", 0.5)
    folder, absent = tmp_path / "edge", tmp_path / "absent"
    files = folder / satellite_file.CERTIFICATE, folder / satellite_file.TRUST

    async def scenario() -> Centre:
        async with centre(place) as made:
            old = pki.open_authority(place.settings.pki, datetime.now(UTC)).certificate
            await made.join(made.token(), folder)
            await made.join(made.token(), absent)
            with pytest.raises(RolloverError, match="no change of the authority is under way"):
                finish(made)
            with running(folder):
                await wait_until(
                    lambda: made.rows("SELECT session > 0 FROM satellite WHERE name = 'home-1'") == [(True,)],
                    10, "the satellite is connected",
                )  # fmt: skip
                begin(made)
                following = pki.next_authority(place.settings.pki)
                assert following is not None
                new = following.certificate
                with pytest.raises(RolloverError, match="under way"):
                    begin(made)
                await wait_until(lambda: not any("home/home-1," in line for line in status(made)), 20, "it is ready")
                assert is_by(x509.load_pem_x509_certificate(files[0].read_bytes()), new)
                assert files[1].read_bytes() == pki.trust_bundle(place.settings.pki)
                # The gateway is still known by the old one, and one that was away works as before.
                assert is_by(x509.load_pem_x509_certificate((place.settings.pki / "gateway.pem").read_bytes()), old)
                assert await greeted(made, absent)
                assert any("home/home-2" in line for line in status(made))
                with pytest.raises(RolloverError, match="home/home-2 would be shut out"):
                    finish(made)
                finish(made, force=True)
                assert is_by(x509.load_pem_x509_certificate((place.settings.pki / "gateway.pem").read_bytes()), new)
                await wait_until(lambda: files[1].read_bytes() == following.pem, 30, "the old one is trusted no more")
                await wait_until(lambda: is_whole(folder), 5, "its certificate is replaced, too")
                assert await greeted(made, folder)
            assert not await greeted(made, absent)
            assert not await greeted(made, absent, files[1])
            before = made.token(address=made.address)
            await made.join(before, tmp_path / "later")
            await made.join(made.token(satellite="home-2"), absent)
            assert await greeted(made, absent)
            return made

    made = asyncio.run(scenario())
    assert [entry for entry in made.audit() if entry[0].startswith("ca.")] == [
        ("ca.rotate", "authority"), ("ca.finish", "authority")
    ]  # fmt: skip
    assert status(made)[1:] == []


def test_a_token_of_before_the_change_is_told_to_be_old(place: Place, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with centre(place) as made:
            text = made.token()
            begin(made)
            during = made.token()
            await made.join(during, tmp_path / "during")
            assert (tmp_path / "during" / "trust.pem").read_bytes() == pki.trust_bundle(place.settings.pki)
            finish(made, force=True)
            with pytest.raises(probe.JoinError, match="of before a change of its authority"):
                await made.join(text, tmp_path / "x")

    asyncio.run(scenario())


def test_an_authority_of_the_company_is_taken_over(place: Place, tmp_path: Path) -> None:
    """An intermediate one: its own issuer is known neither here nor at the sites."""
    now, company = datetime.now(UTC), tmp_path / "company"
    company.mkdir()
    root = tmp_path / "root"
    root.mkdir()
    files = company / "ca.pem", company / "ca.key"
    replace_pair(*files, intermediate(root, now))

    async def scenario() -> None:
        async with centre(place) as made:
            folder = tmp_path / "edge"
            begin(made, files)
            await made.join(made.token(), folder)
            assert await greeted(made, folder)
            finish(made, force=True)
            await made.join(made.token(), tmp_path / "later")
            assert await greeted(made, tmp_path / "later")
            leaf = leaf_in(tmp_path / "later" / satellite_file.CERTIFICATE)
            assert leaf is not None
            with pytest.raises(RolloverError, match="the present authority already"):
                begin(made, files)

    asyncio.run(scenario())


def intermediate(root: Path, now: datetime) -> tuple[bytes, bytes]:
    above = pki.open_authority(root, now)
    key = rsa.generate_private_key(65537, 2048)
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example Inc. issuing CA 4")]))
        .issuer_name(above.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1000))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier(bytes(range(20))), critical=False)
        .sign(above.key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    encoded = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return made.public_bytes(serialization.Encoding.PEM), encoded


@pytest.mark.parametrize("what", ["leaf", "key of another", "no key", "short"])
def test_what_can_be_no_authority_is_refused(tmp_path: Path, what: str) -> None:
    now = datetime.now(UTC)
    home, other = tmp_path / "home", tmp_path / "other"
    home.mkdir()
    other.mkdir()
    pki.renew_gateway(other, now)
    certificate, key = other / "ca.pem", other / "ca.key"
    if what == "leaf":
        certificate, key = other / "gateway.pem", other / "gateway.key"
    elif what == "key of another":
        key = other / "gateway.key"
    elif what == "no key":
        key = certificate
    else:
        now += timedelta(days=3600)
    with pytest.raises(RolloverError):
        rollover.begin(home, now, (certificate, key))
    assert pki.next_authority(home) is None
