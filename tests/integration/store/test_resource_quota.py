"""The quota of resources on a real PostgreSQL: what is new beyond it is left out with all that speaks of it."""

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from fixtures.log import Site

from metaconsole.store.database import AsyncConnection, connect, connected, transaction
from metaconsole.store.definitions import Definition
from metaconsole.store.epochs import Offer, register
from metaconsole.store.facts import insert_events, insert_gaps
from metaconsole.store.inventory import apply_inventory
from metaconsole.store.left_out import LeftOut, note
from metaconsole.store.quota import Excess, have_room
from metaconsole.store.series import SeriesIds, define_series, register_metrics
from metaconsole.store.site_settings import set_quotas
from shared.pb import events_pb2, telemetry_pb2
from shared.pb import inventory_pb2 as pb

ONE = uuid.UUID(int=1)
METRIC, T0 = "a.one", 1_700_000_000_000


def limit(site: Site, *, series: int | None = None, resources: int | None = None) -> None:
    with connect(site.url) as connection:
        set_quotas(connection, "home", "tests", series=series, resources=resources)


def counted(site: Site) -> int:
    """Return the count of resources that is kept, which is that of the rows."""
    there = "(SELECT count(*) FROM resource), (SELECT count(*) FROM series)"
    ((resources, series, *rows),) = site.rows(f"SELECT resources, series, {there} FROM dictionary")
    assert rows == [resources, series]
    return int(resources)


def run(site: Site, scenario: Callable[[AsyncConnection], Awaitable[None]]) -> None:
    async def on_a_connection() -> None:
        async with connected(site.url, application="test") as connection:
            await scenario(connection)

    asyncio.run(on_a_connection())


def guests(*keys: object, source: str = "kvm", at: int = 0, full: bool = False) -> pb.InventoryDelta:
    """Return guests that run on the host of their source, each with a claim."""
    host = telemetry_pb2.ResourceRef(kind="host", key="host")
    delta = pb.InventoryDelta(source=source, full=full, observed_ms=T0 + at * 1000)
    for key in map(str, keys):
        claim = pb.IdentityClaim(type="instance_uuid", value=f"{source}-{key}", strength=100)
        delta.resources.add(kind="guest", key=key, name=key, state="running", claims=[claim])
        relation = delta.relations.add(type="runs_on", to=host)
        getattr(relation, "from").CopyFrom(telemetry_pb2.ResourceRef(kind="guest", key=key))
    return delta


def event(key: str, number: int) -> events_pb2.Event:
    reference = telemetry_pb2.ResourceRef(source="kvm", kind="guest", key=key)
    severity = events_pb2.SEVERITY_INFO
    return events_pb2.Event(
        id=str(number), source="kvm", time_ms=T0, type="vm.seen", severity=severity, message="!", resource=reference
    )


def gap(key: str) -> telemetry_pb2.Gap:
    reference = telemetry_pb2.ResourceRef(source="kvm", kind="guest", key=key)
    reason = telemetry_pb2.GAP_REASON_UNREACHABLE
    return telemetry_pb2.Gap(source="kvm", from_ms=T0, to_ms=T0 + 1, reason=reason, resource=reference)


async def apply(connection: AsyncConnection, site: Site, *deltas: pb.InventoryDelta) -> LeftOut:
    """Write inventories, and return what is left out."""
    found: LeftOut = Counter()
    for delta in deltas:
        async with transaction(connection):
            found += await apply_inventory(connection, site.site_id, delta)
    return found


async def define(
    connection: AsyncConnection, site: Site, keys: Sequence[str], first: int = 1, epoch: uuid.UUID = ONE
) -> SeriesIds:
    metrics = await register_metrics(connection, [METRIC])
    made = [Definition("kvm", "guest", key, metrics[METRIC], ()) for key in keys]
    return await define_series(connection, site.site_id, site.satellites[0], epoch, first, made)


async def greet(connection: AsyncConnection, site: Site, epoch: uuid.UUID = ONE, number: int = 0) -> int:
    """Return how many series of the epoch are known."""
    who = (site.site_id, site.satellites[number])
    return (await register(connection, *who, epoch, [Offer(epoch, [], 2**62)])).epochs[0].series_through


def test_what_is_beyond_is_left_out_with_all_that_speaks_of_it_and_all_else_goes_on(site: Site) -> None:
    limit(site, resources=5)

    async def scenario(connection: AsyncConnection) -> None:
        assert await apply(connection, site, guests(1, 2, 3, full=True)) == {}
        assert counted(site) == 4
        # Of three new ones one fits; a known one changes beside them.
        delta = guests(2, 7, 8, 9, at=10)
        delta.resources[0].state = "stopped"
        assert await apply(connection, site, delta) == {("kvm", "guest"): 2}
        # In a full one as well; what it does not name is gone.
        assert await apply(connection, site, guests(1, 8, 2, 7, 9, at=20, full=True)) == {("kvm", "guest"): 2}
        # Of another source, of the past, and ends of relations.
        assert await apply(connection, site, guests("x", source="other")) == {
            ("other", "guest"): 1,
            ("other", "host"): 1,
        }
        assert await apply(connection, site, guests("y", at=15)) == {("kvm", "guest"): 1}
        async with transaction(connection):
            told = await insert_events(connection, site.site_id, [event("7", 1), event("8", 2), event("8", 3)])
            assert told == {("kvm", "guest"): 1}
            gaps = [gap("7"), gap("9"), telemetry_pb2.Gap(source="kvm", from_ms=T0, to_ms=T0)]
            assert await insert_gaps(connection, site.site_id, site.satellites[0], gaps) == {("kvm", "guest"): 1}

    run(site, scenario)
    assert counted(site) == 5
    open_ones = "SELECT name, state FROM resource_version WHERE valid_to IS NULL ORDER BY name"
    assert site.rows(open_ones) == [("1", "running"), ("2", "running"), ("7", "running")]
    past = "SELECT name, state FROM resource_version WHERE valid_to IS NOT NULL ORDER BY name, valid_from"
    assert site.rows(past) == [("2", "running"), ("2", "stopped"), ("3", "running")]
    assert site.rows("SELECT count(*) FROM relation WHERE valid_to IS NULL") == [(3,)]
    assert site.rows("SELECT array_agg(value ORDER BY value) FROM identity_claim") == [
        (["kvm-1", "kvm-2", "kvm-3", "kvm-7"],)
    ]
    assert site.rows("SELECT native_id, resource_id IS NULL FROM event ORDER BY 1") == [
        ("1", False), ("2", True), ("3", True)
    ]  # fmt: skip
    assert site.rows("SELECT count(*), count(resource_id) FROM gap") == [(2, 1)], "it would seem to be of all of kvm"


def test_definitions_of_new_resources_are_refused_and_told_anew_once_there_is_room(site: Site) -> None:
    limit(site, resources=2, series=4)

    async def scenario(connection: AsyncConnection) -> None:
        await greet(connection, site)
        found = await define(connection, site, ["a", "a", "b", "c", "c", "b"])
        ids = found.series.tolist()
        assert [one > 0 for one in ids] == [True, True, True, False, False, True]
        assert found.excess == Excess(2, 4, "kvm", "guest", METRIC, "", 1, 2, 2)
        assert "2 series are refused, because the site has the 2 resources that it may have" in str(found.excess)
        assert counted(site) == 2
        # Room for series does not help.
        limit(site, series=5)
        assert await have_room(connection) == set()
        assert await greet(connection, site) == 6
        limit(site, resources=3)
        assert await have_room(connection) == {(site.site_id, site.satellites[0])}
        assert await greet(connection, site) == 0
        again = await define(connection, site, ["a", "a", "b", "c", "c", "b"])
        assert again.excess is None
        assert again.series.tolist()[:3] == ids[:3]
        assert again.series.min() > 0
        # Both at once: of series there is room for two more, of resources for none.
        limit(site, series=3)
        mixed = await define(connection, site, ["d", "a", "e"], 7)
        assert [one > 0 for one in mixed.series.tolist()] == [False, True, False]
        assert await have_room(connection) == set()

    run(site, scenario)
    assert counted(site) == 3


def test_what_was_left_out_is_asked_for_once_there_is_room_and_counted_anew_by_a_greeting(site: Site) -> None:
    limit(site, resources=1)
    lacking = {(site.site_id, site.satellites[0])}

    async def scenario(connection: AsyncConnection) -> None:
        async with transaction(connection):
            for _ in range(2):
                told: LeftOut = Counter({("kvm", "guest"): 3, ("kvm", "host"): 1})
                names = await note(connection, site.site_id, site.satellites[0], told)
        assert names == ("satellite-0", "home", 1)
        rows = site.rows("SELECT source, kind, resources FROM left_out ORDER BY kind")
        assert rows == [("kvm", "guest", 6), ("kvm", "host", 2)]
        assert await have_room(connection) == lacking
        await apply(connection, site, pb.InventoryDelta(source="kvm", full=True, resources=guests(1).resources))
        assert await have_room(connection) == set()
        limit(site, resources=2)
        assert await have_room(connection) == lacking
        await greet(connection, site, number=1)
        assert await have_room(connection) == lacking, "another one has greeted"
        await greet(connection, site)
        assert await have_room(connection) == set()

    run(site, scenario)


def test_who_mints_at_once_does_not_go_beyond_it_by_one(site: Site) -> None:
    limit(site, resources=100)

    async def inventories(number: int) -> int:
        async with connected(site.url, application="test") as connection:
            deltas = [guests(*range(at, at + 10), source=f"kvm-{number}", at=at) for at in range(0, 50, 10)]
            return (await apply(connection, site, *deltas)).total()

    async def definitions(number: int) -> int:
        epoch, refused = uuid.UUID(int=number), 0
        async with connected(site.url, application="test") as connection:
            await greet(connection, site, epoch)
            for first in range(1, 51, 10):
                keys = [f"{number}-{key}" for key in range(first, first + 10)]
                refused += (await define(connection, site, keys, first, epoch)).series.tolist().count(-1)
        return refused

    async def scenario() -> list[int]:
        return list(await asyncio.gather(inventories(1), definitions(2), inventories(3), definitions(4)))

    left_out = sum(asyncio.run(scenario()))
    assert counted(site) == 100
    # The host of each inventory is left out once in each delta that comes while there is no room for it.
    ((hosts,),) = site.rows("SELECT count(*) FROM resource WHERE kind = 'host'")
    assert 200 + 2 - 100 <= left_out <= 200 + 10 - 100 + hosts


def test_whatever_is_told_in_whatever_order_the_count_is_that_of_the_rows_and_within_the_quota(site: Site) -> None:
    dice = random.Random(20261126)

    async def scenario(connection: AsyncConnection) -> None:
        await greet(connection, site)
        most, defined = 0, 0
        for step in range(40):
            if step % 10 == 0:
                quota = dice.randint(0, 60)
                limit(site, resources=quota)
                most = max(quota, counted(site))
            keys = [str(dice.randint(0, 80)) for _ in range(dice.randint(1, 8))]
            match dice.randint(0, 3):
                case 0:
                    made = dict.fromkeys(keys)
                    source = dice.choice(["kvm", "other"])
                    delta = guests(*made, source=source, at=dice.randint(0, 99), full=dice.random() < 0.3)
                    await apply(connection, site, delta)
                case 1:
                    async with transaction(connection):
                        events = [event(key, dice.randint(0, 999)) for key in keys]
                        await insert_events(connection, site.site_id, events)
                case 2:
                    async with transaction(connection):
                        gaps = [gap(key) for key in keys]
                        await insert_gaps(connection, site.site_id, site.satellites[0], gaps)
                case _:
                    await define(connection, site, keys, defined + 1)
                    defined += len(keys)
            assert counted(site) <= most

    run(site, scenario)
    for table in ("resource_key", "resource_version", "identity_claim", "event", "gap", "series"):
        lost = f"SELECT count(*) FROM {table} t WHERE resource_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM resource r"
        assert site.rows(f"{lost} WHERE r.resource_id = t.resource_id)") == [(0,)], table
