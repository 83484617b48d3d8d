"""Resources that are gone leave once nothing is known of them, and never one that is there, on a real PostgreSQL."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from fixtures.log import Site as Logged
from fixtures.web import World

from metaconsole.readers.retention import look
from metaconsole.store.database import connect, connected
from metaconsole.store.retention_resources import CLAIMS, forget_resources
from metaconsole.store.retention_settings import change

DAY = timedelta(days=1)
NOW = datetime.now(UTC)
BEFORE = NOW - 100 * DAY
GAUGE = "system.cpu.utilization"
TABLES = ("resource", "resource_key", "identity_claim", "resource_version", "relation")


class Estate:
    """A site whose resources have versions that ended so many days ago, the oldest first; None is open."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.site = world.site("one")

    def resource(self, name: str, *ended: int | None, seen: int = 900) -> str:
        world, site = self.world, self.site
        resource = world.resource(site, name)
        world.connection.execute("DELETE FROM resource_version WHERE resource_id = %s", (resource,))
        world.connection.execute(
            "UPDATE resource SET first_seen = %s WHERE resource_id = %s", (NOW - seen * DAY, resource)
        )
        for age in ended:
            end = None if age is None else NOW - age * DAY
            begin = (end or NOW) - DAY / 2
            world.connection.execute(
                "INSERT INTO resource_version (site_id, resource_id, valid_from, valid_to, source_id, kind, name, "
                "state, state_since) VALUES (%s, %s, %s, %s, %s, 'guest', %s, 'running', %s)",
                (site.site_id, resource, begin, end, site.source_id, name, begin),
            )
        return resource

    def relation(self, one: str, kind: str, other: str, ended: int | None = None) -> None:
        names = self.site.resources
        self.world.connection.execute(
            "INSERT INTO relation VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (self.site.site_id, names[one], kind, names[other], NOW - 500 * DAY,
             None if ended is None else NOW - ended * DAY, self.site.source_id),
        )  # fmt: skip

    def claim(self, name: str, value: str, strength: int = 100, age: int = 0) -> None:
        self.world.connection.execute(
            "INSERT INTO identity_claim VALUES (%s, 'uuid', %s, %s, %s, %s)",
            (self.site.site_id, value, self.site.resources[name], strength, NOW - age * DAY),
        )

    def recount(self) -> None:
        self.world.connection.execute(
            "INSERT INTO dictionary (site_id, resources) SELECT site_id, count(*) FROM resource GROUP BY 1 "
            "ON CONFLICT (site_id) DO UPDATE SET resources = EXCLUDED.resources"
        )

    def forget(self) -> int:
        async def scenario() -> int:
            async with connected(self.world.url, application="test") as connection:
                return await forget_resources(connection, self.site.site_id, BEFORE)

        deleted = asyncio.run(scenario())
        there = self.world.one("SELECT count(*) FROM resource WHERE site_id = %s", self.site.site_id)
        assert self.world.one("SELECT resources FROM dictionary WHERE site_id = %s", self.site.site_id) == there
        return deleted

    def names(self) -> set[str]:
        rows = self.world.connection.execute("SELECT resource_id::text FROM resource").fetchall()
        there = {resource for (resource,) in rows}
        return {name for name, resource in self.site.resources.items() if resource in there}


@pytest.fixture
def estate(world: World) -> Estate:
    return Estate(world)


def test_one_that_is_gone_leaves_with_all_that_is_its_own_and_whatever_is_known_of_one_keeps_it(estate: Estate) -> None:
    world, site = estate.world, estate.site
    estate.resource("there", 500, None)
    estate.resource("gone", 500, 400)
    estate.resource("gone lately", 400, 50)
    estate.resource("only mentioned")
    estate.resource("mentioned lately", seen=50)
    for name in ("measured", "with an event", "with a gap", "end", "begin", "tied", "tied to one gone", "twin"):
        estate.resource(name, 400)
    world.series(site, "measured", GAUGE)
    world.event(site, "with an event", int((NOW - 99 * DAY).timestamp() * 1000), "!")
    world.connection.execute(
        "INSERT INTO gap (site_id, satellite_id, resource_id, from_ms, to_ms, reason) "
        "VALUES (%s, %s, %s, 1, 2, 'error')",
        (site.site_id, site.satellite, site.resources["with a gap"]),
    )
    estate.relation("there", "runs_on", "end")
    estate.relation("begin", "runs_on", "there")
    estate.relation("there", "same_as", "tied")
    estate.relation("tied to one gone", "same_as", "gone")
    estate.relation("there", "runs_on", "gone", 400)
    estate.relation("gone", "runs_on", "there", 300)
    for name in ("there", "twin"):
        estate.claim(name, "both")
        estate.claim(name, "weak", 10)
    estate.claim("gone", "weak", 10)
    estate.recount()
    everything = estate.names()
    assert estate.forget() > 0
    assert everything - estate.names() == {"gone", "only mentioned", "tied to one gone"}
    left = {UUID(site.resources[name]) for name in everything - estate.names()}
    for table in TABLES:
        column = "from_id" if table == "relation" else "resource_id"
        assert not {row[0] for row in world.connection.execute(f"SELECT {column} FROM {table}".encode())} & left, table
    # Of those that stay, the versions that ended before go, but for the newest one of each.
    versions = world.connection.execute(
        "SELECT name, count(*) FROM resource_version WHERE name IN ('there', 'gone lately', 'tied') "
        "GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert versions == [("gone lately", 1), ("there", 1), ("tied", 1)]
    assert world.one("SELECT count(*) FROM relation") == 3
    assert estate.forget() == 0
    # When the reasons end, they leave as well.
    ended = "UPDATE resource_version SET valid_from = %s, valid_to = %s WHERE valid_to IS NULL"
    world.connection.execute(ended.encode(), (NOW - 300 * DAY, NOW - 300 * DAY))
    world.connection.execute("UPDATE relation SET valid_to = %s WHERE type <> 'same_as'", (NOW - 300 * DAY,))
    for table in ("series", "event", "gap"):
        world.connection.execute(f"DELETE FROM {table}".encode())
    estate.forget()
    assert estate.names() == {"gone lately", "mentioned lately"}
    assert world.one("SELECT count(*) FROM relation") == 0


def test_old_history_goes_in_bounded_batches_and_claims_without_end_are_cut(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metaconsole.store.retention_resources.ROWS", 7)
    monkeypatch.setattr("metaconsole.store.retention_resources.PAGE", 2)
    for name in ("a", "b", "c", "d", "e"):
        estate.resource(name, *range(120, 90, -1), None)
    for number in range(CLAIMS + 20):
        estate.claim("c", str(number), age=number)
    estate.claim("a", "only one")
    estate.recount()
    assert estate.forget() == 5 * 20 + 20  # 120 to 101 days ago; that of 100 days ago is within
    assert estate.names() == {"a", "b", "c", "d", "e"}
    rows = estate.world.connection.execute("SELECT count(*) FROM identity_claim GROUP BY resource_id ORDER BY 1")
    assert rows.fetchall() == [(1,), (CLAIMS,)]
    assert estate.world.one("SELECT max(value::int) FROM identity_claim WHERE value <> 'only one'") == CLAIMS - 1


class Chance:
    """An estate by chance, and what of it lives and what something needs."""

    def __init__(self, estate: Estate, seed: int, resources: int) -> None:
        self.estate = estate
        self.dice = random.Random(seed)
        self.names = [str(number) for number in range(resources)]
        self.alive: set[str] = set()
        self.needed: set[str] = set()
        for name in self.names:
            self._resource(name)
        for _ in self.names:
            self._relation(*self.dice.sample(self.names, 2))
        self._claims()
        estate.recount()

    def _resource(self, name: str) -> None:
        dice, site, world = self.dice, self.estate.site, self.estate.world
        seen = dice.choice([50, 900])
        ended = sorted(dice.sample(range(20, 400), dice.randint(0, 3)), reverse=True)
        is_open = dice.random() < 0.3
        self.estate.resource(name, *ended, *[None] * is_open, seen=seen)
        measured, told = dice.random() < 0.1, dice.random() < 0.1
        if measured:
            world.series(site, name, GAUGE)
        if told:
            world.event(site, name, 1, "!")
        if is_open:
            self.alive.add(name)
        if measured or told or seen == 50 or (ended and ended[-1] <= 100):
            self.needed.add(name)

    def _relation(self, one: str, other: str) -> None:
        kind, ended = self.dice.choice(["runs_on", "same_as"]), self.dice.choice([None, 50, 300])
        self.estate.relation(one, kind, other, ended)
        for this, that in ((one, other), (other, one)):
            if ended is None and (kind != "same_as" or that in self.alive):
                self.needed.add(this)

    def _claims(self) -> None:
        holders: dict[int, set[str]] = {}
        for name in self.names:
            value, strength = self.dice.randint(0, len(self.names)), self.dice.choice([50, 100])
            self.estate.claim(name, str(value), strength)
            if strength == 100:
                holders.setdefault(value, set()).add(name)
        for found in holders.values():
            if found & self.alive:
                self.needed |= found


def test_whatever_there_is_what_lives_stays_and_what_nothing_needs_goes(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metaconsole.store.retention_resources.PAGE", 7)
    chance = Chance(estate, 20261126, 120)
    estate.forget()
    assert estate.names() == chance.alive | chance.needed
    assert 10 < len(estate.names()) < 110, "the case says something"
    kept: list[tuple[Any, ...]] = estate.world.connection.execute(
        "SELECT name, count(*) FILTER (WHERE valid_to IS NULL), count(*) FILTER (WHERE valid_to < %s) "
        "FROM resource_version GROUP BY name",
        (BEFORE,),
    ).fetchall()
    assert {name for name, is_open, _ in kept if is_open} == chance.alive
    assert all(olds <= 1 for _, _, olds in kept), "the newest of one that is gone at most"
    assert estate.forget() == 0


def test_a_look_does_it_by_the_rule_of_the_site_and_makes_room(estate: Estate, site: Logged) -> None:
    estate.resource("gone", 400)
    estate.resource("there", None)
    estate.recount()

    def sweep() -> None:
        async def scenario() -> None:
            async with connected(estate.world.url, application="test") as connection:
                await look(connection, NOW, sweep=True)

        asyncio.run(scenario())

    sweep()
    assert estate.names() == {"gone", "there"}, "730 days, if nobody says otherwise"
    with connect(estate.world.url) as connection:
        change(connection, "somebody", "inventory", "home", None, 1)
    sweep()
    assert estate.names() == {"gone", "there"}, "another site's rule"
    with connect(estate.world.url) as connection:
        change(connection, "somebody", "inventory", estate.site.name, None, 399)
    sweep()
    assert estate.names() == {"there"}
    assert estate.world.one("SELECT resources FROM dictionary WHERE site_id = %s", estate.site.site_id) == 1
