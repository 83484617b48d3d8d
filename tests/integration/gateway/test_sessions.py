"""Who may open a session over mutual TLS, and what ends one: a newer session, numbers that can not be, silence."""

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from fixtures.gateway import Client, Place, SessionOverError, batch, channel, connected, gateway, rows, session

from metaconsole.gateway import stream
from metaconsole.pki import open_authority
from shared import tls
from shared.pb import uplink_pb2


def test_who_has_no_certificate_or_a_foreign_one_is_kept_out(place: Place, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    open_authority(foreign, datetime.now(UTC))

    async def scenario() -> list[grpc.StatusCode]:
        codes = []
        trust = place.settings.pki / "ca.pem"
        unknown = tls.SatelliteIdentity(place.identity.site_id, uuid.uuid4())
        folders = [None, place.certificates(pki=foreign), place.certificates(unknown)]
        async with gateway(place) as port:
            for folder in folders:
                async with channel(port, folder, trust) as opened, session(opened) as client:
                    try:
                        await client.hello()
                    except (SessionOverError, grpc.aio.AioRpcError) as error:
                        codes.append(error.code if isinstance(error, SessionOverError) else error.code())
        return codes

    unavailable, denied = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.PERMISSION_DENIED
    assert asyncio.run(scenario()) == [unavailable, unavailable, denied]
    assert rows(place, "SELECT session FROM satellite") == [(0,)]


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"protocol_major": 2}, "upgrade the metaconsole"),
        ({"protocol_major": 0}, "upgrade the satellite"),
        ({"epoch": b"short"}, "16 bytes"),
    ],
)
def test_a_greeting_that_can_not_work_is_refused_with_a_sentence(
    place: Place, fields: dict[str, Any], part: str
) -> None:
    async def scenario() -> SessionOverError:
        async with connected(place) as client:
            with pytest.raises(SessionOverError) as over:
                await client.hello(**fields)
            return over.value

    over = asyncio.run(scenario())
    assert over.code is grpc.StatusCode.INVALID_ARGUMENT
    assert part in over.details


def test_a_restored_satellite_is_told_to_start_a_new_epoch(place: Place) -> None:
    async def scenario() -> bool:
        folder = place.certificates()
        async with gateway(place) as port, channel(port, folder, folder / "trust.pem") as opened:
            async with session(opened) as client:
                await client.hello()
                await client.define(1)
                for sequence in (1, 2):
                    await client.frame(sequence, batch=batch([1], [0.5]))
                await client.acks(2)
            async with session(opened) as restored:
                restored.epoch = client.epoch
                offer = uplink_pb2.EpochOffer(epoch=client.epoch.bytes, next_sequence=2)
                return (await restored.hello(epochs=[offer])).epochs[0].retired

    assert asyncio.run(scenario())


def test_a_newer_session_fences_the_older_and_names_both(place: Place) -> None:
    async def scenario() -> SessionOverError:
        folder = place.certificates()
        async with (
            gateway(place) as port,
            channel(port, folder, folder / "trust.pem") as opened,
            session(opened) as older,
            session(opened) as newer,
        ):
            await older.hello()
            await older.define(1)
            await older.frame(1, batch=batch([1], [0.5]))
            await older.ack()
            newer.epoch = older.epoch
            again = uplink_pb2.EpochOffer(
                epoch=newer.epoch.bytes, next_sequence=2, unsent=[uplink_pb2.SequenceRange(first=1, last=1)]
            )
            welcome = await newer.hello(epochs=[again])
            assert [(part.first, part.last) for part in welcome.epochs[0].taken] == [(1, 1)]
            assert (welcome.epochs[0].series_through, welcome.epochs[0].retired) == (1, False)
            await newer.frame(1, batch=batch([1], [0.5]))
            ack = await newer.ack()
            assert [(part.first, part.last) for part in ack.replayed] == [(1, 1)]
            with pytest.raises(SessionOverError) as over:
                await older.ack()
            return over.value

    over = asyncio.run(scenario())
    assert over.code is grpc.StatusCode.ABORTED
    assert "session 1 " in over.details
    assert "session 2 " in over.details
    assert rows(place, "SELECT count(*) FROM log") == [(1,)]


def test_a_session_on_another_gateway_fences_too_and_is_named(place: Place) -> None:
    async def scenario() -> SessionOverError:
        folder = place.certificates()
        trust = folder / "trust.pem"
        async with (
            gateway(place) as one,
            gateway(place) as two,
            channel(one, folder, trust) as first,
            channel(two, folder, trust) as second,
            session(first) as older,
            session(second) as newer,
        ):
            await older.hello()
            await older.define(1)
            newer.epoch = older.epoch
            await newer.hello()
            await older.frame(1, batch=batch([1], [0.5]))
            with pytest.raises(SessionOverError) as over:
                await older.ack()
            return over.value

    over = asyncio.run(scenario())
    assert over.code is grpc.StatusCode.ABORTED
    assert "session 1 " in over.details
    assert "session 2" in over.details
    assert rows(place, "SELECT count(*) FROM log") == [(0,)]


def test_numbers_that_can_not_be_end_the_session(place: Place) -> None:
    async def send(client: Client, case: int) -> None:
        if case == 0:
            await client.frame(0, batch=batch([1], [0.5]))
        elif case == 1:
            await client.define(1, first=5)
        else:
            client.epoch = uuid.uuid4()
            await client.frame(1, batch=batch([1], [0.5]))

    async def scenario() -> list[str]:
        sentences = []
        folder = place.certificates()
        async with gateway(place) as port, channel(port, folder, folder / "trust.pem") as opened:
            for case in range(3):
                async with session(opened) as client:
                    await client.hello()
                    await send(client, case)
                    with pytest.raises(SessionOverError) as over:
                        await client.ack()
                    sentences.append(over.value.details)
        return sentences

    zero, hole, foreign = asyncio.run(scenario())
    assert "sequence 0" in zero
    assert "the next one is 1" in hole
    assert "was not offered" in foreign


def over(place: Place, act: Callable[[Client], Awaitable[None]]) -> SessionOverError:
    """Return how the gateway ends a session that greets and then acts."""

    async def scenario() -> SessionOverError:
        async with connected(place) as client:
            await client.hello()
            try:
                await act(client)
            except SessionOverError as error:
                return error
        raise AssertionError("the session was not ended")

    return asyncio.run(scenario())


def test_a_satellite_that_falls_silent_is_let_go(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SILENCE_SECONDS", 0.5)

    async def say_nothing(client: Client) -> None:
        await client.read()

    error = over(place, say_nothing)
    assert (error.code, error.details[:12]) == (grpc.StatusCode.DEADLINE_EXCEEDED, "nothing came")


def test_a_satellite_that_reads_nothing_is_let_go(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "WRITE_SECONDS", 0.5)

    async def read_nothing(client: Client) -> None:
        # Frames are refused, each with a long sentence, until no more sentences fit on the way; then the gateway reads
        # no further, and a frame can't be written. What was on the way is still there to be read.
        refused = batch([1], [0.5])
        refused.blocks[0].metric = "\1" * 500
        writing = set[asyncio.Task[None]]()
        for sequence in itertools.count(1):
            _, writing = await asyncio.wait([asyncio.create_task(client.frame(sequence, batch=refused))], timeout=3)
            if writing:
                break
        try:
            while True:
                await client.read()
        finally:
            await asyncio.gather(*writing, return_exceptions=True)

    error = over(place, read_nothing)
    assert (error.code, error.details) == (grpc.StatusCode.DEADLINE_EXCEEDED, "the satellite took no message for 0 s")
