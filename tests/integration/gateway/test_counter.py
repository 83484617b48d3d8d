"""Two processes that hold one identity: the one that has gone further is served, and both are named."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from fixtures.gateway import Client, Place, SessionOverError, batch, channel, gateway, rows, session
from fixtures.waiting import wait_until

from metaconsole.store import epochs

ONE, OTHER = b"1" * 16, b"2" * 16
CONNECTED = (
    "SELECT session, connected_at IS NOT NULL FROM satellite JOIN satellite_liveness USING (site_id, satellite_id)"
)


@asynccontextmanager
async def client_of(place: Place, port: int) -> AsyncIterator[Client]:
    folder = place.certificates()
    async with channel(port, folder, folder / "trust.pem") as opened, session(opened) as client:
        yield client


@pytest.mark.parametrize("counter", [0, 999, 1000])
def test_a_counter_that_is_not_higher_is_refused_and_the_other_goes_on(
    place: Place, counter: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)

    async def scenario() -> SessionOverError:
        async with gateway(place) as port, client_of(place, port) as first, client_of(place, port) as copy:
            await first.hello(process_nonce=ONE, session_counter=1000, version="1.2.3")
            with pytest.raises(SessionOverError) as caught:
                await copy.hello(process_nonce=OTHER, session_counter=counter, version="1.2.2")
            await first.define(1)
            await first.frame(1, batch=batch([1], [0.5]))
            assert [(part.first, part.last) for part in (await first.ack()).taken] == [(1, 1)]
            return caught.value

    over = asyncio.run(scenario())
    assert over.code is grpc.StatusCode.ABORTED
    (told,) = [record.getMessage() for record in caplog.records if "has gone further" in record.getMessage()]
    for sentence in (over.details, told):
        assert f"counter 1000 of process {ONE.hex()[:8]}, version 1.2.3, from ipv4:127.0.0.1:" in sentence
        assert f"counter {counter} of process {OTHER.hex()[:8]}, version 1.2.2, from ipv4:127.0.0.1:" in sentence
    assert rows(place, "SELECT session, counter, nonce FROM satellite") == [(1, 1000, ONE)]
    assert rows(place, "SELECT count(DISTINCT epoch) FROM epoch") == [(1,)]


def test_a_higher_counter_fences_the_older_session_and_nothing_of_it_is_mixed_in(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> SessionOverError:
        async with gateway(place) as port, client_of(place, port) as first, client_of(place, port) as second:
            await first.hello(process_nonce=ONE, session_counter=1000)
            await first.define(1)
            await second.hello(process_nonce=OTHER, session_counter=1001)
            with pytest.raises(SessionOverError) as caught:
                await first.ack()
            await second.define(1)
            await second.frame(1, batch=batch([1], [0.75]))
            await second.ack()
            return caught.value

    over = asyncio.run(scenario())
    assert over.code is grpc.StatusCode.ABORTED
    assert "is fenced by the newer session 2 of satellite local" in over.details
    assert rows(place, "SELECT count(*) FROM log WHERE kind = 1") == [(1,)]
    assert rows(place, "SELECT session, counter, nonce FROM satellite") == [(2, 1001, OTHER)]


def test_the_same_process_may_greet_again_and_the_largest_counter_fits(place: Place) -> None:
    async def scenario() -> None:
        async with gateway(place) as port:
            for counter in (7, 7, 2**64 - 1, 2**64 - 1):
                async with client_of(place, port) as client:
                    await client.hello(process_nonce=ONE, session_counter=counter)
            async with client_of(place, port) as client:
                with pytest.raises(SessionOverError, match="at most 16 bytes of nonce"):
                    await client.hello(process_nonce=ONE * 2, session_counter=9)

    asyncio.run(scenario())
    assert rows(place, "SELECT session, counter FROM satellite") == [(4, 2**64 - 1)]


def test_a_fenced_process_that_comes_back_waits_until_the_one_that_is_served_has_ended(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epochs, "GREETED_SECONDS", 0.0)

    async def scenario() -> SessionOverError:
        async with gateway(place) as port:
            async with client_of(place, port) as first:
                await first.hello(process_nonce=ONE, session_counter=1000, version="1.2.3")
            async with client_of(place, port) as second, client_of(place, port) as back:
                await second.hello(process_nonce=OTHER, session_counter=1001, version="1.2.4")
                await wait_until(lambda: rows(place, CONNECTED) == [(2, True)], 10, "the second one is seen")
                with pytest.raises(SessionOverError) as caught:
                    await back.hello(process_nonce=ONE, session_counter=1002, version="1.2.3")
                await second.define(1)
                await second.frame(1, batch=batch([1], [0.5]))
                await second.ack()
            await wait_until(lambda: rows(place, CONNECTED) == [(2, False)], 10, "the second one is gone")
            async with client_of(place, port) as third:
                await third.hello(process_nonce=ONE, session_counter=1003)
        return caught.value

    over = asyncio.run(scenario())
    assert over.code is grpc.StatusCode.ABORTED
    assert f"is served: it has counter 1001 of process {OTHER.hex()[:8]}, version 1.2.4" in over.details
    assert f"this one counter 1002 of process {ONE.hex()[:8]}, version 1.2.3" in over.details
    assert "stop the one that is a copy" in over.details
    found = rows(place, "SELECT session, counter, nonce, superseded, rival_nonce, rival_version FROM satellite")
    assert found == [(3, 1003, ONE, [OTHER, ONE], ONE, "1.2.3")]


def test_a_process_that_begins_anew_is_served_whoever_was_before_and_few_are_remembered(place: Place) -> None:
    async def scenario() -> None:
        async with gateway(place) as port:
            for number in range(12):
                async with client_of(place, port) as client:
                    await client.hello(process_nonce=bytes([number + 1]) * 16, session_counter=number + 1)

    asyncio.run(scenario())
    ((session, remembered, rival),) = rows(place, "SELECT session, superseded, rival_at FROM satellite")
    assert (session, remembered[0], len(remembered), rival) == (12, bytes([11]) * 16, epochs.SUPERSEDED, None)


def test_a_first_greeting_without_a_counter_is_taken(place: Place) -> None:
    async def scenario() -> None:
        async with gateway(place) as port, client_of(place, port) as client:
            await client.hello(process_nonce=ONE, session_counter=0)

    asyncio.run(scenario())
    assert rows(place, "SELECT session, counter FROM satellite") == [(1, 0)]
