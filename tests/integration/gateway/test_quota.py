"""A satellite that invents names beside an honest one: each sample is stored or counted as refused.

The honest one loses nothing, whatever the other does, and the number of series is kept over restarts.
"""

import asyncio
from collections.abc import Sequence

import psycopg
import pytest
from fixtures.gateway import METRIC, Client, Place, SessionOverError, batch, gateway, greeted, read_facts, rows
from fixtures.waiting import wait_until

from metaconsole.store.database import connect
from metaconsole.store.site_settings import set_quotas
from metaconsole.store.sites import ensure_satellite
from shared.pb import telemetry_pb2, uplink_pb2
from shared.tls import SatelliteIdentity

QUOTA, ROUNDS, EACH = 60, 10, 10


@pytest.fixture(autouse=True)
def _limited(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metaconsole.gateway.uplink.ROOM_SECONDS", 0.1)
    limit(place, QUOTA)


def limit(place: Place, quota: int) -> None:
    with connect(place.settings.database_url) as connection:
        set_quotas(connection, "home", "tests", series=quota)


def identity(place: Place, name: str) -> SatelliteIdentity:
    with connect(place.settings.database_url) as connection:
        return SatelliteIdentity(place.identity.site_id, ensure_satellite(connection, place.identity.site_id, name))


async def define(client: Client, names: Sequence[str], first: int, source: str) -> None:
    definitions = [
        telemetry_pb2.SeriesDefinition(
            id=first + n,
            resource=telemetry_pb2.ResourceRef(source=source, kind="host", key=source),
            metric=METRIC,
            attributes={"pod": name},
        )
        for n, name in enumerate(names)
    ]
    await client.send(series=telemetry_pb2.SeriesDefinitions(epoch=client.epoch.bytes, definitions=definitions))


async def churn(client: Client, source: str) -> list[uplink_pb2.Ack]:
    """Ten times ten new names: each batch holds all that there are, the last one of each round the newest only."""
    for turn in range(ROUNDS):
        first = turn * EACH + 1
        await define(client, [f"{client.epoch}-{first + n}" for n in range(EACH)], first, source)
        known, newest = range(1, first + EACH), range(first, first + EACH)
        await client.frame(2 * turn + 1, batch=batch(known, [float(one) for one in known], source=source))
        await client.frame(2 * turn + 2, batch=batch(newest, [float(one) for one in newest], source=source))
    return await client.acks(2 * ROUNDS)


async def go_on(client: Client, over: asyncio.Event) -> int:
    """Define five series and send one batch of them after the other until it is over; return how many."""
    await define(client, [f"steady-{n}" for n in range(5)], 1, "steady")
    sent = 0
    while not over.is_set() or sent < 20:
        sent += 1
        await client.frame(sent, batch=batch(range(1, 6), [float(sent)] * 5, source="steady"))
        (ack,) = await client.acks(1)
        assert not ack.refused, ack
    return sent


def stored(place: Place, who: SatelliteIdentity) -> tuple[int, int]:
    """Return how many samples of a satellite are stored and were refused, which the tallies have as the log has it."""
    statement = (
        "SELECT coalesce(sum(samples), 0)::bigint, coalesce(sum(refused_samples), 0)::bigint FROM log "
        f"WHERE satellite_id = '{who.satellite_id}' AND kind = 1"
    )
    ((samples, refused),) = rows(place, statement)
    tallies = f"SELECT reason, sum(samples)::int FROM tally WHERE satellite_id = '{who.satellite_id}' GROUP BY reason"
    told = dict(rows(place, tallies))
    assert (told.get("", 0), told.get("refused: quota", 0)) == (samples, refused)
    return samples, refused


def counted(place: Place) -> int:
    ((kept, there),) = rows(place, "SELECT d.series, (SELECT count(*) FROM series) FROM dictionary d")
    assert kept == there
    return int(kept)


def test_a_churning_satellite_is_refused_to_the_sample_and_an_honest_one_loses_nothing(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    honest, churner = place.identity, identity(place, "churner")
    over = asyncio.Event()

    async def scenario() -> tuple[int, list[uplink_pb2.Ack]]:
        async with gateway(place) as port, greeted(place, port, honest) as one, greeted(place, port, churner) as other:
            going = asyncio.create_task(go_on(one, over))
            begun = f"SELECT 1 FROM log WHERE satellite_id = '{honest.satellite_id}' AND kind = 1"
            await wait_until(lambda: rows(place, begun), 10, "the honest one is served")
            acks = await churn(other, "churning")
            over.set()
            return await going, acks

    sent, acks = asyncio.run(scenario())
    asyncio.run(read_facts(place))
    assert stored(place, honest) == (5 * sent, 0)
    # Of its hundred names 55 fit: of each batch of all names those, of the batches of new ones only the first 55.
    fits = QUOTA - 5
    whole = sum(min(turn * EACH + EACH, fits) for turn in range(ROUNDS))
    produced = sum(turn * EACH + EACH for turn in range(ROUNDS))
    assert stored(place, churner) == (whole + fits, produced - whole + 5)
    refused = {one.sequence: one.reason for ack in acks for one in ack.refused}
    assert refused == {2 * turn + 2: "quota" for turn in range(6, ROUNDS)}, "batches of nothing else"
    gaps = rows(place, f"SELECT count(*), min(reason) FROM gap WHERE satellite_id = '{churner.satellite_id}'")
    assert gaps == [(4, "refused")]
    assert counted(place) == QUOTA
    told = [record.getMessage() for record in caplog.records if getattr(record, "event", "") == "series.refused"]
    assert len(told) == 1, "once a minute"
    for words in ("satellite churner of site home", "source 'churning'", METRIC, "the attribute 'pod'"):
        assert words in told[0]


def test_the_number_is_kept_over_restarts_and_two_gateways_share_it(place: Place) -> None:
    names = [identity(place, f"churner-{n}") for n in range(2)]
    found = []
    for _ in range(2):

        async def scenario() -> None:
            async with (
                gateway(place) as left,
                gateway(place) as right,
                greeted(place, left, names[0]) as one,
                greeted(place, right, names[1]) as other,
            ):
                await asyncio.gather(churn(one, "left"), churn(other, "right"))

        asyncio.run(scenario())
        found.append((counted(place), rows(place, "SELECT sum(definitions)::bigint FROM refused_series")))
    all_names = 2 * ROUNDS * EACH
    assert found == [(QUOTA, [(all_names - QUOTA,)]), (QUOTA, [(all_names,)])]


def test_refused_series_come_by_themselves_once_there_is_room(place: Place) -> None:
    limit(place, 2)
    all_of_them = batch(range(1, 5), [1.0, 2.0, 3.0, 4.0], source="vc")

    async def scenario() -> None:
        async with gateway(place) as port:
            async with greeted(place, port, place.identity) as client:
                await define(client, ["a", "b", "c", "d"], 1, "vc")
                await client.frame(1, batch=all_of_them)
                await client.acks(1)
                limit(place, 10)
                while not (message := await client.read()).HasField("drain"):
                    pass
                assert "room" in message.drain.reason
            offer = uplink_pb2.EpochOffer(epoch=client.epoch.bytes, next_sequence=2)
            async with greeted(place, port, place.identity, epoch=offer.epoch, epochs=[offer]) as again:
                again.epoch = client.epoch
                assert [state.series_through for state in again.welcome.epochs] == [0]
                await define(again, ["a", "b", "c", "d"], 1, "vc")
                await again.frame(2, batch=all_of_them)
                await again.acks(1)

    asyncio.run(scenario())
    log = rows(place, "SELECT samples, refused_samples FROM log WHERE kind = 1 ORDER BY ordinal")
    assert log == [(2, 2), (4, None)]
    assert counted(place) == 4
    assert rows(place, "SELECT count(*) FROM refused_series") == [(0,)]


def test_a_satellite_that_starts_over_and_over_is_turned_away_with_a_sentence(place: Place) -> None:
    with psycopg.connect(place.settings.database_url) as connection:
        connection.execute("UPDATE satellite SET epochs_left = 0.5")

    async def scenario() -> SessionOverError:
        async with gateway(place) as port:
            with pytest.raises(SessionOverError) as over:
                async with greeted(place, port, place.identity):
                    pass
        return over.value

    over = asyncio.run(scenario())
    assert over.code.name == "RESOURCE_EXHAUSTED"
    assert "why it starts over and over; it is let in again in 1 min" in over.details
    assert rows(place, "SELECT count(*) FROM epoch") == [(0,)]
