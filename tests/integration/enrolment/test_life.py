"""The life of a satellite's certificate: renewed, revoked, expired, taken back; by real satellites' processes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import grpc.aio
import pytest
from fixtures.connect_proxy import connect_proxy
from fixtures.enrolment import Centre, Running, centre, certificate_of, running
from fixtures.gateway import Place, SessionOverError, channel, make_place, session
from fixtures.waiting import wait_until

from metaconsole import pki
from metaconsole.store import enrolment
from metaconsole.store.audit import COMMAND
from metaconsole.store.database import connect
from satellite import probe
from satellite.certificate import Request
from shared import satellite_file
from shared.certificates import leaf_in
from shared.pb import enrolment_pb2, enrolment_pb2_grpc
from shared.tls import SatelliteIdentity


@pytest.fixture
def place(database_url: str, tmp_path: Path) -> Place:
    return make_place(database_url, tmp_path)


def revoke(made: Centre, name: str) -> None:
    with connect(made.place.settings.database_url) as connection:
        enrolment.revoke(connection, COMMAND, "home", name)


def sessions(made: Centre, name: str = "home-1") -> int:
    """Return how many sessions the satellite has had."""
    ((count,),) = made.rows("SELECT session FROM satellite WHERE name = %s", name)
    return int(count)


def spooled(folder: Path) -> bool:
    """Return whether a frame is in the spool."""
    return any(file.stat().st_size for file in (folder / "state" / "spool").glob("*/*.segment"))


async def joined(made: Centre, folder: Path) -> SatelliteIdentity:
    await made.join(made.token(), folder)
    leaf = leaf_in(folder / satellite_file.CERTIFICATE)
    assert leaf is not None
    return leaf.identity


@contextlib.asynccontextmanager
async def running_there(folder: Path) -> AsyncIterator[Running]:
    with running(folder) as satellite:
        yield satellite


async def renewal(made: Centre, folder: Path) -> enrolment_pb2.Certificate:
    """Ask for a renewal with the certificate in a folder; raises AioRpcError."""
    async with channel(made.grpc_port, folder, folder / "trust.pem") as opened:
        stub = enrolment_pb2_grpc.EnrolmentStub(opened)  # type: ignore[no-untyped-call]
        answer: enrolment_pb2.Certificate = await stub.Renew(
            enrolment_pb2.RenewRequest(signing_request_der=Request().der), timeout=15
        )
        return answer


async def end_of(made: Centre, folder: Path) -> SessionOverError:
    """Open a session with the certificate in a folder, and return how it ends at once."""
    async with channel(made.grpc_port, folder, folder / "trust.pem") as opened, session(opened) as client:
        with pytest.raises(SessionOverError) as caught:
            await client.hello()
    return caught.value


def copy_of(folder: Path, to: Path) -> Path:
    to.mkdir()
    for name in (satellite_file.CERTIFICATE, satellite_file.KEY, satellite_file.TRUST):
        (to / name).write_bytes((folder / name).read_bytes())
    return to


def test_a_revoked_satellite_is_cut_off_and_comes_back_with_a_token(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "edge"

    async def scenario() -> Centre:
        async with centre(place) as made:
            await joined(made, folder)
            async with (
                channel(made.grpc_port, folder, folder / "trust.pem") as opened,
                session(opened) as idle,
            ):
                await idle.hello()
                revoke(made, "home-1")
                with pytest.raises(SessionOverError) as caught:
                    await asyncio.wait_for(idle.read(), 15)  # an idle one, within 5 s and the slack
            assert caught.value.code is grpc.StatusCode.PERMISSION_DENIED
            assert "was revoked on" in caught.value.details
            assert "--satellite home-1" in caught.value.details
            assert (await end_of(made, folder)).details == caught.value.details
            with pytest.raises(grpc.aio.AioRpcError, match="nothing is renewed"):
                await renewal(made, folder)
            async with running_there(folder) as satellite:
                await wait_until(lambda: "was revoked on" in satellite.said(), 10, "the satellite knows why")
                stolen = copy_of(folder, tmp_path / "stolen")
                await made.join(made.token(satellite="home-1"), folder)
                await wait_until(lambda: " is back after " in satellite.said(), 15, "the satellite is back by itself")
                over = await end_of(made, stolen)
                assert over.code is grpc.StatusCode.PERMISSION_DENIED
                assert "was taken back on" in over.details
                with pytest.raises(grpc.aio.AioRpcError, match="was taken back"):
                    await renewal(made, stolen)
            return made

    made = asyncio.run(scenario())
    assert [action for action, _ in made.audit()] == [
        "satellite.token", "satellite.join", "satellite.revoke", "satellite.token", "satellite.join"
    ]  # fmt: skip
    assert made.rows("SELECT generation, revoked_at FROM satellite WHERE name = 'home-1'") == [(1, None)]


def test_a_token_of_a_satellite_that_is_revoked_meanwhile_is_worth_nothing(place: Place, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with centre(place) as made:
            await joined(made, tmp_path / "edge")
            text = made.token(satellite="home-1")
            revoke(made, "home-1")
            with pytest.raises(probe.JoinError, match="expired on"):
                await made.join(text, tmp_path / "edge")
            with pytest.raises(enrolment.EnrolmentError, match="revoked already"):
                revoke(made, "home-1")

    asyncio.run(scenario())


def test_a_satellite_renews_by_itself_and_its_session_moves(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "edge"

    async def scenario() -> None:
        async with centre(place) as made:
            identity = await joined(made, folder)
            certificate_of(place, identity, folder, datetime.now(UTC) - timedelta(days=25))
            key, before = (folder / satellite_file.KEY).read_bytes(), datetime.now(UTC) + timedelta(days=6)
            async with running_there(folder) as satellite:

                def renewed() -> bool:
                    leaf = leaf_in(folder / satellite_file.CERTIFICATE)
                    return leaf is not None and leaf.ends > before

                await wait_until(renewed, 10, "the certificate is renewed")
                await wait_until(lambda: "the certificate is renewed: it ends on" in satellite.said(), 5, "it says so")
                await wait_until(
                    lambda: made.rows("SELECT certificate_until > now() + interval '29 days' FROM satellite "
                                      "WHERE name = 'home-1'") == [(True,)], 10, "the metaconsole knows"
                )  # fmt: skip
                assert (folder / satellite_file.KEY).read_bytes() != key
                assert "PRIVATE KEY" not in satellite.said()

    asyncio.run(scenario())


def test_one_that_is_asked_to_renew_moves_to_a_new_channel(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "edge"

    async def scenario() -> None:
        async with centre(place) as made:
            await joined(made, folder)
            (folder / satellite_file.TRUST).write_bytes((folder / satellite_file.TRUST).read_bytes() + b"\n# old\n")
            before = (folder / satellite_file.CERTIFICATE).read_bytes()
            async with running_there(folder):
                await wait_until(lambda: sessions(made) >= 2, 15, "the session has moved")
            assert (folder / satellite_file.CERTIFICATE).read_bytes() != before
            assert (folder / satellite_file.TRUST).read_bytes() == pki.trust_bundle(place.settings.pki)

    asyncio.run(scenario())


def test_one_that_renews_all_the_time_has_to_wait(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "edge"

    async def scenario() -> list[object]:
        async with centre(place) as made:
            await joined(made, folder)
            return [
                error.code() if isinstance(error, grpc.aio.AioRpcError) else type(error)
                for error in [await outcome(made) for _ in range(12)]
            ]

    async def outcome(made: Centre) -> object:
        try:
            return await renewal(made, folder)
        except grpc.aio.AioRpcError as error:
            return error

    assert asyncio.run(scenario()) == [enrolment_pb2.Certificate] * 10 + [grpc.StatusCode.RESOURCE_EXHAUSTED] * 2


def test_one_whose_certificate_ended_says_so_and_joins_again_with_all_that_it_has(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "edge"

    async def scenario() -> None:
        async with centre(place) as made:
            identity = await joined(made, folder)
            certificate_of(place, identity, folder, datetime.now(UTC) - timedelta(days=31))
            async with running_there(folder) as satellite:
                await wait_until(lambda: "certificate ended on" in satellite.said(), 10, "it says what is wrong")
                assert "nephoscope satellite token home --satellite home-1" in satellite.said()
                await wait_until(lambda: spooled(folder), 20, "frames wait")
                assert not made.rows("SELECT 1 FROM log")
                (epoch,) = [entry.name.partition("-")[2] for entry in (folder / "state" / "spool").iterdir()]
                answer = await made.join(made.token(satellite="home-1"), folder)
                assert answer.is_back
                await wait_until(lambda: bool(made.rows("SELECT 1 FROM log")), 15, "what waited is delivered")
                ((delivered, first),) = made.rows("SELECT epoch, min(sequence) FROM log GROUP BY epoch")
                assert (delivered.hex, first) == (epoch, 1)
            assert made.rows("SELECT count(*) FROM satellite WHERE name = 'home-1'") == [(1,)]
            # A machine that was set up anew, with nothing but a token, is the same satellite too.
            await made.join(made.token(satellite="home-1"), tmp_path / "anew")
            leaf = leaf_in(tmp_path / "anew" / satellite_file.CERTIFICATE)
            assert leaf is not None
            assert leaf.identity == identity
            assert "taken back" in (await end_of(made, folder)).details

    asyncio.run(scenario())


def test_a_satellite_works_through_a_proxy(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "edge"

    async def scenario() -> None:
        async with centre(place) as made, connect_proxy() as proxy:
            port = made.address.rpartition(":")[2]
            uplink = f"gw.example.invalid:{made.grpc_port}"
            text = made.token(address=f"noc.example.invalid:{port}", uplinks=(uplink,))
            await made.join(text, folder, proxy=proxy.url)
            async with running_there(folder):
                await wait_until(lambda: sessions(made) > 0, 10, "it is connected")
            assert f"CONNECT {uplink} HTTP/1.1" in proxy.asked

    asyncio.run(scenario())


def test_a_certificate_of_the_future_is_a_wrong_clock(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "edge"

    async def scenario() -> None:
        async with centre(place) as made:
            identity = await joined(made, folder)
            certificate_of(place, identity, folder, datetime.now(UTC) + timedelta(days=1))
            async with running_there(folder) as satellite:
                await wait_until(lambda: "set the clock" in satellite.said(), 10, "it says what is wrong")

    asyncio.run(scenario())


def test_the_gateway_s_own_certificate_is_renewed_without_a_restart(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "edge"

    async def scenario() -> None:
        async with centre(place) as made:
            await joined(made, folder)
            before = (place.settings.pki / "gateway.pem").read_bytes()
            assert pki.renew_gateway(place.settings.pki, datetime.now(UTC) + timedelta(days=61))
            assert (place.settings.pki / "gateway.pem").read_bytes() != before
            # It begins two months from now: whoever connects hears of the new one, and of nothing older.
            with pytest.raises(probe.JoinError, match="set the clock"):
                await made.join(made.token(), tmp_path / "other")

    asyncio.run(scenario())
