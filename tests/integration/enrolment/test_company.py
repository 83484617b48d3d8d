"""A certificate of the company's own at the gateways: who joins looks for it, who joined before is not disturbed."""

import asyncio
import shutil
import socket
import ssl
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner
from cryptography import x509
from fixtures.company import Company
from fixtures.enrolment import Centre, centre, running
from fixtures.gateway import Client, Place, SessionOverError, channel, make_place, session
from fixtures.waiting import wait_until

from metaconsole import authority_change
from metaconsole.cli_ca import ca
from metaconsole.company import load_company
from metaconsole.gateway import uplink
from metaconsole.rollover import RolloverError
from metaconsole.store.audit import COMMAND
from metaconsole.store.database import connect
from shared import satellite_file
from shared.tls import METACONSOLE_NAME

NAME = "gateway.example.com"


@pytest.fixture
def place(database_url: str, tmp_path: Path) -> Place:
    return make_place(database_url, tmp_path)


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return Company(tmp_path / "company")


def take(place: Place, files: tuple[Path, Path], authority: Path | None, name: str | None = None) -> None:
    with connect(place.settings.database_url) as connection:
        now = datetime.now(UTC)
        authority_change.take(connection, place.settings.pki, now, COMMAND, (*files, authority), name)


def status(place: Place) -> list[str]:
    with connect(place.settings.database_url) as connection:
        return authority_change.status(connection, place.settings.pki, datetime.now(UTC))


def shown(port: int, name: str, trust: Path) -> x509.Certificate:
    """Return the certificate that is shown to whoever asks for a name, verified."""
    context = ssl.create_default_context(cafile=str(trust))
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name) as line,
    ):
        return x509.load_der_x509_certificate(line.getpeercert(binary_form=True) or b"")


def test_who_joins_looks_for_the_companys_and_who_joined_before_goes_on(
    place: Place, company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uplink, "TRUST_SECONDS", 0.5)
    old, new = tmp_path / "old", tmp_path / "new"

    def trusts(folder: Path) -> bool:
        return company.root.pem in (folder / satellite_file.TRUST).read_bytes()

    def sessions(made: Centre, name: str) -> int:
        ((count,),) = made.rows("SELECT session FROM satellite WHERE name = %s", name)
        return int(count)

    async def scenario() -> None:
        async with centre(place) as made:
            await made.join(made.token(), old)
            with running(old) as before:
                await wait_until(lambda: "is connected" in before.said(), 20, "the old one is connected")
                await asyncio.to_thread(take, made.place, company.server(NAME), company.authority)
                await wait_until(lambda: trusts(old), 20, "the old one trusts the company by itself")
                await wait_until(
                    lambda: not [line for line in status(place) if "not ready" in line], 20, "all are ready"
                )
                await made.join(made.token(), new)
                assert tomllib.loads((new / satellite_file.FILE).read_text("utf-8"))["server_name"] == NAME
                with running(new) as after:
                    await wait_until(lambda: "is connected" in after.said(), 20, "the new one is connected")
                    first = await asyncio.to_thread(shown, made.grpc_port, NAME, company.authority)
                    # Renewed: shown from the next connection on, and nobody was restarted.
                    await asyncio.to_thread(take, made.place, company.server(NAME, "b.example.com"), None)
                    second = await asyncio.to_thread(shown, made.grpc_port, NAME, company.authority)
                    assert first.serial_number != second.serial_number
                    count = sessions(made, "home-2")
                with running(new):
                    await wait_until(lambda: sessions(made, "home-2") > count, 20, "the new one is back")
            own = await asyncio.to_thread(shown, made.grpc_port, METACONSOLE_NAME, place.settings.pki / "ca.pem")
            assert own.issuer != second.issuer

    asyncio.run(scenario())
    assert "server_name" not in (old / satellite_file.FILE).read_text("utf-8")
    assert any(line.startswith(f"of the company  for {NAME}, until ") for line in status(place))


def test_who_looks_for_the_companys_name_takes_no_other_certificate_and_nobody_gets_in_by_its_authority(
    place: Place, company: Company, tmp_path: Path
) -> None:
    take(place, company.server(NAME), company.authority)
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    certificate, key = company.client(place.identity.uri)
    (stranger / "satellite.pem").write_bytes(certificate)
    (stranger / "satellite.key").write_bytes(key)

    async def scenario() -> str:
        async with centre(place) as made:
            async with (
                channel(made.grpc_port, stranger, place.settings.pki / "ca.pem") as opened,
                session(opened) as client,
            ):
                code = await refusal(client)
            assert code is grpc.StatusCode.UNAVAILABLE
            folder = tmp_path / "joined"
            await made.join(made.token(), folder)
            other = tmp_path / "other"
            shutil.copytree(folder, other)
            config = other / satellite_file.FILE
            config.write_text(config.read_text("utf-8").replace(NAME, "evil.example.com"), "utf-8")
            with running(other) as satellite:
                await wait_until(lambda: "is lost" in satellite.said(), 20, "another name is not taken")
                return satellite.said()

    said = asyncio.run(scenario())
    assert "is connected" not in said


async def refusal(client: Client) -> grpc.StatusCode:
    """Greet, and return with which status the gateway will have none of it."""
    try:
        await client.hello()
    except SessionOverError as error:
        return error.code
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


Bad = Callable[[Company, Place], tuple[tuple[Path, Path], Path | None, str | None]]


def another_key(company: Company, place: Place) -> Any:
    certificate, _ = company.server(NAME)
    return (certificate, place.settings.pki / "gateway.key"), company.authority, None


def no_chain(company: Company, place: Place) -> Any:
    return company.server(NAME, chain=False), company.authority, None


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (another_key, "is not the key of"),
        (no_chain, "unable to get local issuer certificate; the file is to hold the certificate and all between"),
        (lambda c, _: (c.server("a.example.com"), c.authority, NAME), "Hostname mismatch"),
        (lambda c, _: (c.server("*.example.com"), c.authority, None), "say with --name for which of its names"),
        (lambda c, _: (c.server(NAME, days=-1), c.authority, None), "it must be valid now and for a day more"),
        (lambda c, p: (c.server(NAME), p.settings.pki / "ca.pem", None), "unable to get"),
        (lambda c, _: (c.server(NAME), None, None), "name the company's authority"),
        (lambda c, _: (c.server(NAME), c.folder / "server.key", None), "holds no certificates"),
    ],
)
def test_a_certificate_that_would_not_work_is_not_taken(place: Place, company: Company, bad: Bad, why: str) -> None:
    files, authority, name = bad(company, place)
    with pytest.raises(RolloverError, match=why.replace("*", r"\*")):
        take(place, files, authority, name)
    assert load_company(place.settings.pki) is None
    assert not list(place.settings.pki.glob("company*"))


def test_the_command_takes_a_wildcard_by_a_name_tells_of_its_end_and_removes_it(
    place: Place, company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEPHOSCOPE_DATABASE_URL", place.settings.database_url)
    certificate, key = company.server("*.example.com", days=20)
    files = ["--certificate", str(certificate), "--key", str(key), "--authority", str(company.authority)]

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(ca, [*arguments[:1], "--home", str(tmp_path), *arguments[1:]])
        return done.output

    told = run("company", *files, "--name", NAME)
    assert f'server_name = "{NAME}"' in told
    assert f"the company's certificate for {NAME} ends on" in told
    assert f"the company's certificate for {NAME} ends on" in run("status")
    assert "name --certificate and --key, or --remove" in run("company")
    assert "the metaconsole's own" in run("company", "--remove")
    assert "there is no certificate of the company" in run("company", "--remove")
    assert not list(place.settings.pki.glob("company*"))
