"""The quota of series on a real PostgreSQL: what is new is counted, what is beyond is refused, room is room again."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence

import pytest
from fixtures.log import Site

from metaconsole.store.database import AsyncConnection, connect, connected
from metaconsole.store.definitions import Definition
from metaconsole.store.epochs import A_DAY, Offer, Registration, TooManyEpochsError, register
from metaconsole.store.quota import Excess
from metaconsole.store.series import SeriesIds, define_series, load_series, register_metrics
from metaconsole.store.site_settings import find_rooms, set_quotas

ONE, TWO = uuid.UUID(int=1), uuid.UUID(int=2)
METRIC = "a.one"


def limit(site: Site, quota: int) -> None:
    with connect(site.url) as connection:
        set_quotas(connection, "home", "tests", series=quota)


def counted(site: Site) -> int:
    """Return the count of series that is kept; it and that of resources are those of the rows."""
    with connect(site.url) as connection:
        rooms = find_rooms(connection, "home")
    rows = site.rows("SELECT (SELECT count(*) FROM series), (SELECT count(*) FROM resource)")
    assert rows == [(rooms.series.used, rooms.resources.used)]
    return rooms.series.used


async def opened(connection: AsyncConnection, site: Site, epoch: uuid.UUID, number: int = 0) -> Registration:
    who = (site.site_id, site.satellites[number])
    return await register(connection, *who, epoch, [Offer(epoch, [], 2**62)])


async def define(
    connection: AsyncConnection,
    site: Site,
    keys: Sequence[int],
    first: int = 1,
    epoch: uuid.UUID = ONE,
    number: int = 0,
) -> SeriesIds:
    """Define the hosts of some numbers, each with an attribute of its own, from a local id on."""
    metrics = await register_metrics(connection, [METRIC])
    made = [Definition("machine", "host", "h", metrics[METRIC], (("pod", f"p{key}"),)) for key in keys]
    return await define_series(connection, site.site_id, site.satellites[number], epoch, first, made)


def run(site: Site, scenario: Callable[[AsyncConnection], Awaitable[None]]) -> None:
    async def on_a_connection() -> None:
        async with connected(site.url, application="test") as connection:
            await scenario(connection)

    asyncio.run(on_a_connection())


def test_what_is_new_counts_what_is_known_does_not_and_what_is_beyond_is_refused(site: Site) -> None:
    limit(site, 5)

    async def scenario(connection: AsyncConnection) -> None:
        await opened(connection, site, ONE)
        first = (await define(connection, site, [1, 2, 3])).series.tolist()
        assert counted(site) == 3
        # Of the known ones, one of them twice, and of three new ones, which come twice, two fit.
        mixed = await define(connection, site, [3, 4, 1, 1, 5, 4, 6, 5, 6, 2], 4)
        ids = mixed.series.tolist()
        assert [ids[0], ids[2], ids[3], ids[9]] == [first[2], first[0], first[0], first[1]]
        assert (ids[1], ids[4]) == (ids[5], ids[7])
        assert [ids[6], ids[8]] == [-1, -1]
        assert mixed.excess == Excess(2, 5, "machine", "host", METRIC, "pod", 1)
        assert counted(site) == 5
        loaded = await load_series(connection, site.site_id, site.satellites[0], ONE)
        assert loaded.series.tolist() == [*first, *ids]
        # A new epoch, and the other satellite of the site, define the same: nothing is added, nothing is refused.
        for epoch, number in ((TWO, 0), (ONE, 1)):
            await opened(connection, site, epoch, number)
            again = await define(connection, site, [5, 4, 3, 2, 1], 1, epoch, number)
            assert again.excess is None
            assert again.series.tolist() == [ids[4], ids[1], *first[::-1]]
        assert counted(site) == 5
        assert site.rows("SELECT count(*) FROM resource") == [(1,)]

    run(site, scenario)


def test_nothing_at_all_is_minted_for_what_is_refused(site: Site) -> None:
    limit(site, 0)

    async def scenario(connection: AsyncConnection) -> None:
        await opened(connection, site, ONE)
        for first in (1, 101):
            ids = await define(connection, site, range(first, first + 100), first)
            assert set(ids.series.tolist()) == {-1}

    run(site, scenario)
    for table in ("series", "resource", "resource_key", "source"):
        assert site.rows(f"SELECT count(*) FROM {table}") == [(0,)], table
    noted = "SELECT definitions, source, kind, metric, label, label_values FROM refused_series"
    assert site.rows(noted) == [(200, "machine", "host", METRIC, "pod", 100)]


def test_refused_ones_are_told_anew_once_there_is_room_and_keep_the_ids_of_the_others(site: Site) -> None:
    limit(site, 3)

    async def scenario(connection: AsyncConnection) -> None:
        await opened(connection, site, ONE)
        before = (await define(connection, site, range(5))).series.tolist()
        state = (await opened(connection, site, ONE)).epochs[0]
        assert state.series_through == 5, "there is no room: nothing is told anew"
        assert site.rows("SELECT definitions FROM refused_series") == [(2,)]
        limit(site, 4)
        state = (await opened(connection, site, ONE)).epochs[0]
        assert state.series_through == 0
        assert site.rows("SELECT count(*) FROM refused_series") == [(0,)]
        after = (await define(connection, site, range(5))).series.tolist()
        assert after[:3] == before[:3]
        assert after[3] > 0
        assert after[4] == -1
        assert counted(site) == 4
        # What is not offered any more is forgotten with what is known of it.
        await opened(connection, site, TWO)

    run(site, scenario)
    assert site.rows("SELECT count(*) FROM refused_series") == [(0,)]
    assert site.rows("SELECT count(*) FROM epoch_series") == [(0,)]


def test_satellites_that_define_at_once_do_not_go_beyond_it_by_one(site: Site) -> None:
    limit(site, 500)

    async def satellite(number: int) -> tuple[int, int]:
        epoch = uuid.UUID(int=number)
        async with connected(site.url, application="test") as connection:
            await opened(connection, site, epoch, number)
            ids: list[int] = []
            for first in range(1, 301, 30):
                # A third of them are those of the others.
                keys = [key if key % 3 == 0 else key + 10_000 * number for key in range(first, first + 30)]
                ids += (await define(connection, site, keys, first, epoch, number)).series.tolist()
            return len({one for one in ids if one > 0}), ids.count(-1)

    async def scenario() -> list[tuple[int, int]]:
        return list(await asyncio.gather(*(satellite(number) for number in range(4))))

    found = asyncio.run(scenario())
    assert counted(site) == 500
    assert sum(refused for _, refused in found) > 0
    assert site.rows("SELECT sum(definitions)::bigint FROM refused_series") == [(sum(refused for _, refused in found),)]


def test_a_satellite_begins_so_many_epochs_and_more_with_time(site: Site) -> None:
    async def greet(connection: AsyncConnection, count: int, number: int = 0) -> None:
        offers = [Offer(uuid.uuid4(), [], 2**62) for _ in range(count)]
        await register(connection, site.site_id, site.satellites[number], offers[0].epoch, offers)

    async def scenario(connection: AsyncConnection) -> None:
        site.rows(f"UPDATE satellite SET epochs_left = 1500 WHERE satellite_id = '{site.satellites[0]}'")
        await greet(connection, 1000)
        with pytest.raises(TooManyEpochsError, match=r"satellite-0 of site home begins 1000 epochs.* in 36 min"):
            await greet(connection, 1000)
        await greet(connection, 1000, 1)  # another one is not concerned
        assert site.rows("SELECT count(*) FROM epoch") == [(2000,)], "who is turned away leaves nothing behind"
        noted = "SELECT epochs_refused_at IS NOT NULL, session FROM satellite ORDER BY name LIMIT 2"
        assert site.rows(noted) == [(True, 1), (False, 1)]
        await greet(connection, 400)
        site.rows("UPDATE satellite SET epochs_at = now() - interval '1 hour'")
        await greet(connection, A_DAY // 24)
        site.rows("UPDATE satellite SET epochs_at = now() - interval '1 year'")
        await greet(connection, 1)
        ((left,),) = site.rows(f"SELECT epochs_left FROM satellite WHERE satellite_id = '{site.satellites[0]}'")
        assert left == A_DAY - 1, "what is not begun is kept for a day"

    run(site, scenario)
