"""Full inventories in parts, from a tracker to rows of a real PostgreSQL: what is gone ends, however they come."""

import asyncio
from collections.abc import Sequence

import pytest
from fixtures.estate import estate
from fixtures.log import Site

from metaconsole.store.database import connected, transaction
from metaconsole.store.inventory import apply_inventory
from satellite.inventory import InventoryTracker
from satellite.inventory_cut import ROOM
from shared.inventory_parts import is_part
from shared.model import Inventory, Kind, Relation, RelationType, Resource, ResourceKey, State, claim
from shared.pb import inventory_pb2 as pb

T0 = 1_700_000_000_000
HOST, OTHER = ResourceKey(Kind.HOST, "a"), ResourceKey(Kind.HOST, "ä")
BOTH_WAYS = pytest.mark.parametrize("turn", [1, -1], ids=["in order", "last first"])


def seen(*guests: str, host: ResourceKey = HOST, state: State = State.RUNNING) -> Inventory:
    """Return guests on a host, and two hosts."""
    keys = [ResourceKey(Kind.GUEST, guest) for guest in guests]
    resources = [Resource(key, key.key, state) for key in keys] + [Resource(HOST, "a"), Resource(OTHER, "ä")]
    return Inventory(resources, [Relation(key, RelationType.RUNS_ON, host) for key in keys])


def parts(seconds: int, inventory: Inventory, of: int = 2) -> list[pb.InventoryDelta]:
    """Return a full inventory in parts of so many resources or relations."""
    made = list(InventoryTracker("vc", (ROOM[0], of)).update(inventory, T0 + seconds * 1000))
    assert len(made) > 2
    assert all(map(is_part, made))
    return made


def apply(site: Site, deltas: Sequence[pb.InventoryDelta]) -> None:
    async def scenario() -> None:
        async with connected(site.url, application="test") as connection:
            for one in deltas:
                async with transaction(connection):
                    await apply_inventory(connection, site.site_id, one)

    asyncio.run(scenario())


def guests(site: Site) -> list[tuple[str, str, int, int | None]]:
    """Return (name, state, from, to) of all versions of guests, in seconds after T0."""
    spans = ", ".join(f"(extract(epoch FROM {name}) - 1700000000)::int" for name in ("valid_from", "valid_to"))
    statement = f"SELECT name, state, {spans} FROM resource_version WHERE kind = 'guest' ORDER BY name, valid_from"
    return [(name, state, begin, end) for name, state, begin, end in site.rows(statement)]


def edges(site: Site) -> list[tuple[str, str]]:
    """Return the open relations, as keys."""
    return [
        (begin, end)
        for begin, end in site.rows(
            "SELECT f.key, t.key FROM relation "
            "JOIN resource_key f ON f.site_id = relation.site_id AND f.resource_id = from_id "
            "JOIN resource_key t ON t.site_id = relation.site_id AND t.resource_id = to_id "
            "WHERE valid_to IS NULL ORDER BY 1, 2"
        )
    ]


@BOTH_WAYS
def test_what_vanished_unheard_is_ended_by_the_next_full_one_in_parts(site: Site, turn: int) -> None:
    apply(site, parts(0, seen("1", "2", "3", "4", "5")))
    later = parts(100, seen("1", "3", "5", host=OTHER))
    apply(site, later[::turn])
    assert guests(site) == [
        ("1", "running", 0, None),
        ("2", "running", 0, 100),
        ("3", "running", 0, None),
        ("4", "running", 0, 100),
        ("5", "running", 0, None),
    ]
    assert edges(site) == [("1", "ä"), ("3", "ä"), ("5", "ä")]
    before = guests(site), site.rows("SELECT * FROM relation ORDER BY 1, 2, 3, 4, 5")
    apply(site, later)
    assert (guests(site), site.rows("SELECT * FROM relation ORDER BY 1, 2, 3, 4, 5")) == before


def test_any_order_of_parts_leads_to_the_same(site: Site) -> None:
    found = []
    for number, order in enumerate([(1, 2, 0), (2, 0, 1)]):
        apply(site, parts(1000 * number, seen("1", "2", "3")))
        later = parts(1000 * number + 100, seen("2", "4", host=OTHER))
        apply(site, [later[place] for place in order])
        found.append(([name for name, _, _, end in guests(site) if end is None], edges(site)))
    assert found == [(["2", "4"], [("2", "ä"), ("4", "ä")])] * 2


def test_a_missing_part_leaves_only_what_is_between_its_bounds_as_it_was_until_it_comes(site: Site) -> None:
    apply(site, parts(0, seen("1", "2", "3", "4")))
    first, second, *rest = parts(100, seen("2", "4", host=OTHER), of=1)
    assert [(item.kind, item.key) for item in (*first.resources, *second.resources)] == [("guest", "2"), ("guest", "4")]
    apply(site, rest)
    assert [row[3] for row in guests(site)] == [None] * 4
    apply(site, [first])
    assert [row[3] for row in guests(site)] == [100, None, 100, None]
    apply(site, [second])
    assert edges(site) == [("2", "ä"), ("4", "ä")]


def test_what_came_between_in_time_stays_when_a_part_comes_hours_later(site: Site) -> None:
    apply(site, parts(0, seen("1", "2", "3")))
    tracker = InventoryTracker("vc", (ROOM[0], 1))
    unheard = seen("1", "2", "3", state=State.PAUSED)
    five = Resource(ResourceKey(Kind.GUEST, "5"), "5", State.PAUSED)
    late = list(tracker.update(Inventory([*unheard.resources, five], unheard.relations), T0 + 100_000))
    # Later 2 goes, 3 runs on the other host, 4 comes; and 5, which nobody heard of, stops.
    changes = list(tracker.update(seen("1", "3", "4", "5", host=OTHER, state=State.STOPPED), T0 + 200_000))
    apply(site, [*changes, *late])
    assert [row for row in guests(site) if row[3] is None] == [
        (name, "stopped", 200, None) for name in ("1", "3", "4", "5")
    ]
    assert ("5", "paused", 100, 200) in guests(site)
    assert edges(site) == [(name, "ä") for name in ("1", "3", "4", "5")]


def test_a_newer_full_one_that_begins_meanwhile_wins(site: Site) -> None:
    apply(site, parts(0, seen("1", "2", "3")))
    old, new = parts(100, seen("1", "2", "3", "4")), parts(200, seen("1", "3", "5"))
    apply(site, [*old[:2], *new, *old[2:]])
    apply(site, old)
    assert [name for name, _, _, end in guests(site) if end is None] == ["1", "3", "5"]
    assert edges(site) == [("1", "a"), ("3", "a"), ("5", "a")]


def test_a_backfilled_change_opens_nothing_that_a_part_has_ended(site: Site) -> None:
    apply(site, parts(0, seen("1", "2", "3")))
    first, *rest = parts(100, seen("2", "3"))
    tracker = InventoryTracker("vc")
    list(tracker.update(seen("1", "2", "3"), T0))
    backfilled = list(tracker.update(seen("1", "2", "3", state=State.PAUSED), T0 + 50_000))
    apply(site, [first, *backfilled, *rest])
    assert ("1", "paused", 50, 100) in guests(site)
    assert [(name, end) for name, _, _, end in guests(site) if end is None] == [("2", None), ("3", None)]


def test_a_new_key_with_the_old_identity_is_the_same_guest_where_its_part_says_that_the_old_key_is_gone(
    site: Site,
) -> None:
    def named(key: str) -> Inventory:
        found = seen("1", "2", "3")
        guest = Resource(ResourceKey(Kind.GUEST, key), "web", claims=[claim("instance_uuid", "u")])
        return Inventory([guest, *found.resources], found.relations)

    apply(site, parts(0, named("5")))
    apply(site, parts(100, named("6")))
    assert site.rows("SELECT count(*) FROM resource_version WHERE name = 'web'") == [(1,)]


def test_another_sources_resources_and_ties_stay(site: Site) -> None:
    other = list(InventoryTracker("other").update(seen("1", "7"), T0))
    apply(site, other)
    apply(site, parts(0, seen("1", "2", "3")))
    apply(site, parts(10, seen("3", "4", "5")))
    assert [name for name, _, _, end in guests(site) if end is None] == ["1", "3", "4", "5", "7"]


def test_the_database_has_the_order_of_places_that_both_ends_have(site: Site) -> None:
    names = ["A", "a", "Z", "_", "ä", "é", "z", "\uffee", "\U00010000", "1", "10", "2", "-"]
    apply(site, parts(0, seen(*names), of=3))
    apply(site, parts(10, seen(*names[::2]), of=3))
    assert {name for name, _, _, end in guests(site) if end is None} == set(names[::2])
    apply(site, parts(20, seen(*names[1::2]), of=3)[::-1])
    assert {name for name, _, _, end in guests(site) if end is None} == set(names[1::2])
    assert {begin for begin, _ in edges(site)} == set(names[1::2])


def test_a_large_estate_loses_half_of_itself_at_once(site: Site) -> None:
    whole = estate(800)
    gone = {item.key for item in whole.resources if item.key.kind is Kind.GUEST and item.name < "db-0400"}
    left = Inventory(
        [item for item in whole.resources if item.key not in gone],
        [edge for edge in whole.relations if edge.source not in gone],
    )
    tracker = InventoryTracker("vc", (150_000, ROOM[1]))
    apply(site, first := list(tracker.update(whole, T0)))
    list(tracker.update(left, T0 + 10_000))  # lost
    apply(site, list(tracker.full()))
    assert len(first) > 3
    assert all(map(is_part, first))
    expected = [(len(left.resources), len(left.relations))]
    counts = "(SELECT count(*) FROM {} WHERE valid_to IS NULL)"
    assert site.rows(f"SELECT {counts.format('resource_version')}, {counts.format('relation')}") == expected
