"""A satellite whose guests are ever new beside an honest one: each resource is kept or counted as left out.

The honest one loses nothing, and what was left out comes with the whole inventory that is asked for once there is room.
"""

import asyncio
from collections.abc import Iterable

import pytest
from fixtures.gateway import Client, Place, gateway, greeted, inventory, read_facts, rows

from metaconsole.store.database import connect
from metaconsole.store.site_settings import set_quotas
from metaconsole.store.sites import ensure_satellite
from shared.pb import events_pb2, inventory_pb2, telemetry_pb2, uplink_pb2
from shared.tls import SatelliteIdentity

QUOTA, HONEST, ROUNDS, EACH = 30, 10, 8, 5


@pytest.fixture(autouse=True)
def _limited(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metaconsole.gateway.uplink.ROOM_SECONDS", 0.1)
    limit(place, QUOTA)


def limit(place: Place, quota: int) -> None:
    with connect(place.settings.database_url) as connection:
        set_quotas(connection, "home", "tests", resources=quota)


def guests(
    source: str, names: Iterable[object], *, full: bool = False, state: str = "up"
) -> inventory_pb2.InventoryDelta:
    resources = [
        inventory_pb2.Resource(kind="guest", key=f"{source}-{name}", name=f"{source}-{name}", state=state)
        for name in names
    ]
    return inventory("", "", source=source, full=full, resources=resources)


def seen(source: str, name: object) -> events_pb2.EventList:
    resource = telemetry_pb2.ResourceRef(source=source, kind="guest", key=f"{source}-{name}")
    at = inventory("", "").observed_ms
    event = events_pb2.Event(
        id=f"seen-{name}",
        source=source,
        time_ms=at,
        type="vm.seen",
        severity=events_pb2.SEVERITY_INFO,
        resource=resource,
    )
    return events_pb2.EventList(events=[event])


async def churn(client: Client) -> list[uplink_pb2.Ack]:
    """In each round all guests are new ones, the former are gone, and an event tells of the first one of each."""
    for turn in range(ROUNDS):
        delta = guests("churning", range(turn * EACH, turn * EACH + EACH))
        for gone in range((turn - 1) * EACH, turn * EACH):
            delta.removed.add(kind="guest", key=f"churning-{gone}")
        await client.frame(2 * turn + 1, inventory=delta)
        await client.frame(2 * turn + 2, events=seen("churning", turn * EACH))
    return await client.acks(2 * ROUNDS)


async def go_on(client: Client) -> list[uplink_pb2.Ack]:
    """All that it has, and then how it changes."""
    await client.frame(1, inventory=guests("steady", range(HONEST), full=True))
    for turn in range(ROUNDS):
        await client.frame(turn + 2, inventory=guests("steady", range(HONEST), state=["down", "up"][turn % 2]))
    return await client.acks(ROUNDS + 1)


def counted(place: Place) -> int:
    ((kept, there),) = rows(place, "SELECT d.resources, (SELECT count(*) FROM resource) FROM dictionary d")
    assert kept == there
    return int(kept)


def test_a_churning_satellite_is_cut_to_the_resource_and_an_honest_one_loses_nothing(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    honest = place.identity
    with connect(place.settings.database_url) as connection:
        churner = SatelliteIdentity(honest.site_id, ensure_satellite(connection, honest.site_id, "churner"))

    async def scenario() -> list[uplink_pb2.Ack]:
        async with gateway(place) as port, greeted(place, port, honest) as one, greeted(place, port, churner) as other:
            acks = await go_on(one)
            # The one beside the other: half of its guests are read before, half after the changes of the honest one.
            await read_facts(place)
            acks += await churn(other)
            await read_facts(place)
            await one.frame(ROUNDS + 2, inventory=guests("steady", range(HONEST), state="suspended"))
            acks += await one.acks(1)
            await read_facts(place)
            return acks

    acks = asyncio.run(scenario())
    assert not [refusal for ack in acks for refusal in ack.refused], "no frame is refused for it"
    assert counted(place) == QUOTA
    states = "SELECT state, count(*) FROM resource_version WHERE name LIKE 'steady%' AND valid_to IS NULL GROUP BY 1"
    assert rows(place, states) == [("suspended", HONEST)]
    every = "SELECT count(*) FROM resource_version WHERE name LIKE 'steady%'"
    assert rows(place, every) == [((ROUNDS + 2) * HONEST,)]
    # Of the forty guests of the other twenty fit; each event of one that does not counts it once more.
    fits = QUOTA - HONEST
    assert rows(place, "SELECT count(*) FROM resource_version WHERE name LIKE 'churning%'") == [(fits,)]
    left_out = ROUNDS * EACH - fits + ROUNDS - fits // EACH
    told = f"SELECT source, kind, resources FROM left_out WHERE satellite_id = '{churner.satellite_id}'"
    assert rows(place, told) == [("churning", "guest", left_out)]
    assert rows(place, "SELECT count(*) FROM left_out") == [(1,)]
    assert rows(place, "SELECT count(*), count(resource_id)::int FROM event") == [(ROUNDS, fits // EACH)]
    logged = [record.getMessage() for record in caplog.records if getattr(record, "event", "") == "resources.left_out"]
    assert logged
    for words in ("satellite churner of site home", "source 'churning' and kind guest", f"has the {QUOTA} that it may"):
        assert words in logged[0]


def test_what_was_left_out_is_asked_for_once_there_is_room_and_comes_with_the_whole_inventory(place: Place) -> None:
    limit(place, 3)
    everything = guests("steady", range(HONEST), full=True)

    async def scenario() -> None:
        async with gateway(place) as port:
            async with greeted(place, port, place.identity) as client:
                await client.frame(1, inventory=everything)
                await client.acks(1)
                await read_facts(place)
                assert rows(place, "SELECT resources FROM left_out") == [(HONEST - 3,)]
                limit(place, HONEST)
                while not (message := await client.read()).HasField("drain"):
                    pass
                assert "there is room" in message.drain.reason
            offer = uplink_pb2.EpochOffer(epoch=client.epoch.bytes, next_sequence=2)
            async with greeted(place, port, place.identity, epoch=offer.epoch, epochs=[offer]) as again:
                again.epoch = client.epoch
                await again.frame(2, inventory=everything)  # which a satellite begins each session with
                await again.acks(1)
                await read_facts(place)

    asyncio.run(scenario())
    assert counted(place) == HONEST
    assert rows(place, "SELECT count(*) FROM resource_version WHERE valid_to IS NULL") == [(HONEST,)]
    assert rows(place, "SELECT count(*) FROM left_out") == [(0,)]
