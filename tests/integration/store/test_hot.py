"""Rows of the log are decoded once, whoever asks; after a restore, when ordinals begin anew, none of them counts."""

import asyncio
import time

import pytest
from fixtures.compacted import Feed, block

from metaconsole.store import dictionary, query
from metaconsole.store.database import connect, connected
from metaconsole.store.samples import StoredFormatError
from metaconsole.store.scope import EVERYTHING, Scope
from metaconsole.store.sites import ensure_satellite, ensure_site

GAUGE = "system.cpu.utilization"


def test_kept_rows_are_not_read_again_until_the_database_begins_another_life(database_url: str) -> None:
    with connect(database_url) as connection:
        site_id = ensure_site(connection, "site")
        feed = Feed(site_id, ensure_satellite(connection, site_id, "satellite"))
    begin = int(time.time() * 1000) - 600_000

    async def store(*cycles: int) -> None:
        async with connected(database_url, application="test") as connection:
            ids = [feed.series[GAUGE, guest] for guest in range(3)]
            values = [[cycle + guest / 4 for guest in range(3)] for cycle in cycles]
            frames = [
                feed.frame([begin + cycle * 10_000], [block(GAUGE, ids, row)])
                for cycle, row in zip(cycles, values, strict=True)
            ]
            await feed.append(connection, frames)

    async def opened() -> None:
        async with connected(database_url, application="test") as connection:
            await feed.open(connection, "source", [GAUGE], 3)

    def ask(guest: int, from_ms: int = begin, scope: Scope = EVERYTHING) -> list[float]:
        with connect(database_url) as connection:
            resources = connection.execute("SELECT resource_id::text FROM series").fetchall()
            found = dictionary.series_of(connection, EVERYTHING, [one for (one,) in resources])
            wanted = [one for one in found if one.series_id == feed.series[GAUGE, guest]]
            values: list[float] = query.read(connection, scope, wanted, from_ms, begin + 600_000).values.tolist()
            return values

    asyncio.run(opened())
    asyncio.run(store(0, 1))
    assert ask(0) == [0.0, 1.0]
    with connect(database_url) as connection:
        connection.execute("UPDATE log SET payload = decode(repeat('ff', octet_length(payload)), 'hex')")
    asyncio.run(store(2))
    assert ask(0) == [0.0, 1.0, 2.0]
    assert ask(2) == [0.5, 1.5, 2.5], "a block is decoded for all of its series"
    assert ask(2, begin + 15_000) == [2.5]
    assert ask(2, scope=Scope(frozenset({site_id + 1}))) == [], "what is kept is for those who may see it"
    with pytest.raises(StoredFormatError):
        ask(2, begin - 1)  # reaches further back than what is kept, so that the rows are read
    with connect(database_url) as connection:
        connection.execute("UPDATE deployment SET incarnation = gen_random_uuid()")
    with pytest.raises(StoredFormatError):
        ask(2)
