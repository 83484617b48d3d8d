"""Protocol versions: one minor version apart works, further apart is refused, and both are shown."""

import asyncio

import grpc
import pytest
from fixtures.gateway import Place, SessionOverError, batch, connected
from fixtures.waiting import wait_until

from metaconsole.store.database import connect
from metaconsole.store.scope import EVERYTHING
from metaconsole.web.satellites import view
from shared.pb import uplink_pb2
from shared.protocol import PROTOCOL

MAJOR, MINOR = PROTOCOL


@pytest.mark.parametrize(
    ("protocol", "skew", "upgrade"),
    [((MAJOR, MINOR + 2), "too_new", "metaconsole"), ((MAJOR - 1, MINOR), "too_old", "satellite")],
)
def test_two_versions_apart_is_refused_with_what_to_upgrade_and_shown_until_it_works(
    place: Place, protocol: tuple[int, int], skew: str, upgrade: str
) -> None:
    async def greet(protocol: tuple[int, int], version: str) -> None:
        async with connected(place) as client:
            await client.hello(version=version, protocol_major=protocol[0], protocol_minor=protocol[1])
            await client.send(heartbeat=uplink_pb2.Heartbeat(now_ms=1, spool_frames=7))
            await wait_until(lambda: shown(place) == (version, "seen", "same"), 10, "it is shown as working")

    with pytest.raises(SessionOverError, match=f"upgrade the {upgrade}'") as over:
        asyncio.run(greet(protocol, "9.9.9"))
    assert over.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert shown(place) == ("9.9.9", "refused", skew)
    asyncio.run(greet(PROTOCOL, "1.0.0"))
    with pytest.raises(SessionOverError):
        asyncio.run(greet(protocol, "9.9.9"))
    assert shown(place) == ("9.9.9", "refused", skew), "after it had worked"


@pytest.mark.parametrize(("minor", "skew"), [(MINOR - 1, "behind"), (MINOR + 1, "ahead")])
def test_one_version_apart_works_and_is_shown(place: Place, minor: int, skew: str) -> None:
    async def scenario() -> None:
        async with connected(place) as client:
            welcome = await client.hello(version="1.0.0", protocol_minor=minor)
            assert (welcome.protocol_major, welcome.protocol_minor) == PROTOCOL
            await client.define(1)
            await client.frame(1, batch=batch([1], [0.5]))
            assert [(part.first, part.last) for part in (await client.ack()).taken] == [(1, 1)]
            await client.send(heartbeat=uplink_pb2.Heartbeat(now_ms=1))
            await wait_until(lambda: shown(place) == ("1.0.0", "seen", skew), 10, "it is shown")

    asyncio.run(scenario())


def shown(place: Place) -> tuple[str, str, str | None]:
    """Return version, state and skew as the API tells them."""
    with connect(place.settings.database_url) as connection:
        (one,) = view.satellites(connection, EVERYTHING)
    return one["version"], one["state"], one["skew"]
