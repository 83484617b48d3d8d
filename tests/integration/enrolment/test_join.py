"""Joining over real sockets and a real PostgreSQL: what comes of a token, and what the site's engineer is told."""

import asyncio
import contextlib
import hashlib
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from fixtures.connect_proxy import connect_proxy
from fixtures.enrolment import Centre, centre
from fixtures.gateway import Place, channel, make_place, session

from metaconsole import pki
from metaconsole.gateway import enrolment
from satellite import probe
from satellite.certificate import Request
from satellite.config import load_config
from satellite.plugins import find_collectors
from satellite.probe import JoinError
from shared import join_token, satellite_file
from shared.certificates import leaf_in
from shared.join_token import JoinToken
from shared.pb import enrolment_pb2, enrolment_pb2_grpc


@pytest.fixture
def place(database_url: str, tmp_path: Path) -> Place:
    return make_place(database_url, tmp_path)


def _is_there(folder: Path) -> bool:
    return folder.exists()


async def refused(made: Centre, text: str, folder: Path, **options: Any) -> str:
    """Try to join, and return the sentence that says why not; nothing is left of a new folder."""
    was_there = _is_there(folder)
    with pytest.raises(JoinError) as caught:
        await made.join(text, folder, **options)
    assert _is_there(folder) == was_there
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_a_token_becomes_a_folder_with_which_a_satellite_connects(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    folder = tmp_path / "edge"

    async def scenario() -> tuple[Centre, str]:
        async with centre(place) as made:
            text = made.token()
            joined = await made.join(text, folder)
            assert (joined.site, joined.name, joined.is_back) == ("home", "home-1", False)
            port = made.grpc_port
            async with channel(port, folder, folder / "trust.pem") as opened, session(opened) as client:
                welcome = await client.hello()
            assert welcome.site == "home"
            assert made.rows("SELECT name FROM satellite WHERE satellite_id = %s", welcome.satellite_id) == [
                ("home-1",)
            ]
            return made, text

    made, text = asyncio.run(scenario())
    config = load_config(folder / satellite_file.FILE, find_collectors())
    assert config.uplinks == (f"127.0.0.1:{made.grpc_port}",)
    assert list(config.sources) == ["machine"]
    leaf = leaf_in(config.certificate)
    assert leaf is not None
    assert leaf.ends - datetime.now(UTC) < pki.SATELLITE_LIFE
    assert made.rows("SELECT certificate_until FROM satellite WHERE name = 'home-1'") == [(leaf.ends,)]
    assert {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()} == dict.fromkeys(
        ("satellite.toml", "satellite.pem", "satellite.key", "trust.pem"), 0o600
    )
    assert folder.stat().st_mode & 0o777 == 0o700
    assert made.audit() == [("satellite.token", "home/home-1"), ("satellite.join", "home/home-1")]
    # The secret is kept nowhere, and neither it nor a key is in a log.
    secret = join_token.parse(text).secret
    assert made.rows("SELECT count(*) FROM join_token WHERE token_hash = %s", hashlib.sha256(secret).digest()) == [(1,)]
    for hidden in (text, secret.hex(), repr(secret), "PRIVATE KEY"):
        assert hidden not in caplog.text


def test_each_token_that_is_no_good_is_told_with_what_to_do(place: Place, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()

    async def scenario() -> None:
        async with centre(place) as made:
            used = made.token()
            await made.join(used, tmp_path / "first")
            assert "was used already, on " in await refused(made, used, tmp_path / "x")
            assert "nephoscope satellite revoke home home-1" in await refused(made, used, tmp_path / "x")
            assert made.audit().count(("satellite.token_reused", "home")) == 2
            expired = made.token()
            made.rows(
                "UPDATE join_token SET expires_at = now() - interval '1 minute' WHERE used_at IS NULL RETURNING 1"
            )
            assert "expired on " in (sentence := await refused(made, expired, tmp_path / "x"))
            assert sentence.endswith("make a new one, nephoscope satellite token home")
            made.rows("DELETE FROM join_token RETURNING 1")
            assert "is not known to this metaconsole" in await refused(made, expired, tmp_path / "x")
            good = made.token()
            assert "copy all of it again" in await refused(made, good[:-2] + "xx", tmp_path / "x")
            assert "this is no join token" in await refused(made, "hello", tmp_path / "x")
            parsed = join_token.parse(good)
            foreign = JoinToken(parsed.address, parsed.site, parsed.secret, bytes(32)).encode()
            assert "is not the one that the token names" in await refused(made, foreign, tmp_path / "x")
            await made.join(good, tmp_path / "second")

    asyncio.run(scenario())


def test_of_fifty_who_use_a_token_at_once_one_joins(place: Place) -> None:
    async def scenario() -> tuple[list[Any], Centre]:
        async with centre(place) as made, plain_channel(made) as opened:
            secret = join_token.parse(made.token()).secret
            stub = enrolment_pb2_grpc.EnrolmentStub(opened)  # type: ignore[no-untyped-call]
            calls = [
                stub.Join(
                    enrolment_pb2.JoinRequest(token_secret=secret, site="home", signing_request_der=Request().der)
                )
                for _ in range(50)
            ]
            return await asyncio.gather(*calls, return_exceptions=True), made

    answers, made = asyncio.run(scenario())
    assert [type(answer).__name__ for answer in answers].count("Certificate") == 1
    others = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert len(others) == 49
    assert {error.code() for error in others} == {grpc.StatusCode.UNAUTHENTICATED}
    assert all("was used already" in str(error.details()) for error in others)
    assert made.rows("SELECT count(*) FROM satellite WHERE name = 'home-1'") == [(1,)]
    assert made.audit().count(("satellite.join", "home/home-1")) == 1


def test_what_is_wrong_with_the_address_is_told(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "SECONDS", 0.5)

    async def scenario() -> None:
        async with centre(place) as made:

            async def told(address: str) -> str:
                return await refused(made, made.token(address=address), tmp_path / "x")

            with taken_port() as (port, _):
                pass
            assert "nothing listens at" in await told(f"127.0.0.1:{port}")
            assert "can't be resolved here" in await told("nowhere.invalid:7444")
            assert "port for satellites that have joined" in await told(f"127.0.0.1:{made.grpc_port}")
            with taken_port() as (port, _):  # takes connections, and says nothing
                assert "and then says nothing" in await told(f"127.0.0.1:{port}")
            async with web() as port:
                assert "speaks no TLS" in (sentence := await told(f"127.0.0.1:{port}"))
                assert "7444" in sentence

    asyncio.run(scenario())


def test_a_clock_that_is_a_day_off_is_told_and_the_token_stays_good(place: Place, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with centre(place) as made:
            text, day = made.token(), timedelta(days=1)
            behind = await refused(made, text, tmp_path / "x", now=lambda: datetime.now(UTC) - day)
            assert "set the clock" in behind
            assert "the token is still good" in behind
            ahead = await refused(made, text, tmp_path / "x", now=lambda: datetime.now(UTC) + day)
            assert "24 h 0 min ahead of the metaconsole's" in ahead or "23 h 59 min ahead of" in ahead
            await made.join(text, tmp_path / "x")

    asyncio.run(scenario())


def test_a_folder_that_is_in_use_is_left_alone_and_the_token_stays_good(place: Place, tmp_path: Path) -> None:
    mine, joined = tmp_path / "mine", tmp_path / "joined"
    mine.mkdir()
    (mine / "letter.txt").write_text("dear")

    async def scenario() -> None:
        async with centre(place) as made:
            text = made.token()
            assert "is in use and holds no satellite" in await refused(made, text, mine)
            await made.join(text, joined)
            before = {file.name: file.read_bytes() for file in joined.iterdir()}
            new = made.token()
            assert "the token is for a new satellite" in await refused(made, new, joined)
            other = made.token(satellite="local")
            assert "the token is for another satellite" in await refused(made, other, joined)
            assert {file.name: file.read_bytes() for file in joined.iterdir()} == before
            await made.join(new, tmp_path / "fresh")
            await made.join(other, tmp_path / "other")

    asyncio.run(scenario())
    assert [file.name for file in mine.iterdir()] == ["letter.txt"]


def test_a_folder_that_can_t_be_written_costs_no_token(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")

    async def scenario() -> None:
        async with centre(place) as made:
            text = made.token()
            assert "can't be written" in await refused(made, text, file / "below")
            await made.join(text, tmp_path / "good")

    asyncio.run(scenario())


@pytest.mark.parametrize("shows_our_authority", [False, True])
def test_who_is_in_between_never_sees_the_token(place: Place, tmp_path: Path, shows_our_authority: bool) -> None:
    evil = tmp_path / "evil"
    evil.mkdir()
    pki.renew_gateway(evil, datetime.now(UTC))
    asked: list[str] = []

    class Thief(enrolment_pb2_grpc.EnrolmentServicer):
        async def Join(self, request: Any, _: Any) -> enrolment_pb2.Certificate:  # noqa: N802
            asked.append(request.token_id)
            return enrolment_pb2.Certificate()

    async def scenario() -> str:
        async with centre(place) as made:
            chain = (evil / "gateway.pem").read_bytes()
            if shows_our_authority:
                chain += (place.settings.pki / "ca.pem").read_bytes()
            server = grpc.aio.server()
            enrolment_pb2_grpc.add_EnrolmentServicer_to_server(Thief(), server)  # type: ignore[no-untyped-call]
            credentials = grpc.ssl_server_credentials([((evil / "gateway.key").read_bytes(), chain)])
            port = server.add_secure_port("127.0.0.1:0", credentials)
            await server.start()
            try:
                text = made.token(address=f"127.0.0.1:{port}")
                with pytest.raises(JoinError) as caught:
                    await made.join(text, tmp_path / "x")
            finally:
                await server.stop(None)
            return str(caught.value)

    sentence = asyncio.run(scenario())
    assert ("answers in the metaconsole's place" if shows_our_authority else "is not the one") in sentence
    assert not asked


def test_who_fails_too_often_has_to_wait(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrolment, "JOINS", (3, 60.0))

    async def scenario() -> list[str]:
        async with centre(place) as made:
            used = made.token()
            await made.join(used, tmp_path / "first")
            return [await refused(made, used, tmp_path / "x") for _ in range(5)]

    sentences = asyncio.run(scenario())
    assert ["too many attempts" in sentence for sentence in sentences] == [False, False, False, True, True]


def test_what_is_too_large_or_garbage_is_refused_and_the_gateway_goes_on(place: Place, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with centre(place) as made, plain_channel(made) as opened:
            text = made.token()
            stub = enrolment_pb2_grpc.EnrolmentStub(opened)  # type: ignore[no-untyped-call]
            secret = join_token.parse(text).secret
            good = enrolment_pb2.JoinRequest(token_secret=secret, site="home", signing_request_der=Request().der)

            async def code(**changed: Any) -> grpc.StatusCode:
                request = enrolment_pb2.JoinRequest()
                request.CopyFrom(good)
                request.MergeFrom(enrolment_pb2.JoinRequest(**changed))
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await stub.Join(request)
                found: grpc.StatusCode = caught.value.code()
                return found

            assert await code(version="x" * enrolment.MESSAGE_BYTES) is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert await code(signing_request_der=b"garbage") is grpc.StatusCode.INVALID_ARGUMENT
            assert await code(satellite_id="not a uuid") is grpc.StatusCode.INVALID_ARGUMENT
            assert await code(site="ho\0me" * 100) is grpc.StatusCode.UNAUTHENTICATED
            assert await code(token_secret=b"\0") is grpc.StatusCode.UNAUTHENTICATED
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.Renew(enrolment_pb2.RenewRequest(signing_request_der=Request().der))
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
            await made.join(text, tmp_path / "good")

    asyncio.run(scenario())


def test_a_broken_authority_is_told_without_its_inside_and_costs_no_token(place: Place, tmp_path: Path) -> None:
    key = place.settings.pki / "ca.key"

    async def scenario() -> None:
        async with centre(place) as made:
            text, content = made.token(), key.read_bytes()
            key.write_text("rubbish")
            sentence = await refused(made, text, tmp_path / "x")
            assert sentence == "the metaconsole can't use its certificate authority: its log says why"
            key.write_bytes(content)
            await made.join(text, tmp_path / "x")

    asyncio.run(scenario())


def test_a_proxy_leads_there_or_says_why_not(place: Place, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with centre(place) as made:
            port = made.address.rpartition(":")[2]
            text = made.token(address=f"noc.example.invalid:{port}", uplinks=(f"gw.example.invalid:{made.grpc_port}",))
            async with connect_proxy(b"HTTP/1.1 403 Not by me\r\n\r\n") as proxy:
                sentence = await refused(made, text, tmp_path / "x", proxy=proxy.url)
                assert "does not let us through" in sentence
                assert "403" in sentence
            assert "nothing listens at the proxy" in await refused(made, text, tmp_path / "x", proxy=proxy.url)
            async with connect_proxy() as proxy:
                await made.join(text, tmp_path / "x", proxy=proxy.url)
                assert {line.rpartition(" ")[0] for line in proxy.asked} == {f"CONNECT noc.example.invalid:{port}"}
                assert len(proxy.asked) == 2
                config = load_config(tmp_path / "x" / satellite_file.FILE, find_collectors())
                assert config.proxy == proxy.url
                assert config.uplinks == (f"gw.example.invalid:{made.grpc_port}",)

    asyncio.run(scenario())


def test_a_token_names_a_new_satellite_once(place: Place) -> None:
    async def scenario() -> None:
        async with centre(place) as made:
            for wanted, why in (
                ({"site": "nowhere"}, "there is no site 'nowhere'"),
                ({"name": "local"}, "is taken at site home"),
                ({"name": "Bad Name"}, "can't be a name"),
                ({"satellite": "unknown"}, "has no satellite 'unknown'"),
                ({"name": "a", "satellite": "local"}, "not for both"),
                ({"hours": 10_000.0}, "at most 168 hours"),
                ({"address": "nonsense"}, "is not HOST:PORT"),
                ({"uplinks": ("nonsense",)}, "is not HOST:PORT"),
            ):
                with pytest.raises(ValueError, match=why):
                    made.token(**wanted)
            made.token(name="edge")
            with pytest.raises(ValueError, match="by a token that is still good"):
                made.token(name="edge")

    asyncio.run(scenario())


@contextlib.asynccontextmanager
async def plain_channel(made: Centre) -> AsyncIterator[grpc.aio.Channel]:
    trust = made.place.settings.pki / "ca.pem"
    async with channel(int(made.address.rpartition(":")[2]), None, trust) as opened:
        yield opened


@contextlib.contextmanager
def taken_port() -> Iterator[tuple[int, socket.socket]]:
    """Listen without ever accepting."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(8)
        yield listening.getsockname()[1], listening


@contextlib.asynccontextmanager
async def web() -> AsyncIterator[int]:
    """Answer as a web server does that hears TLS."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
