"""Inventory over time on a real PostgreSQL: validity, identity and history."""

import asyncio
from itertools import pairwise
from typing import Any

from fixtures.log import Site

from metaconsole.store.database import connected, transaction
from metaconsole.store.definitions import Definition
from metaconsole.store.inventory import apply_inventory
from metaconsole.store.series import _mint, lock_site, register_metrics
from shared.pb import inventory_pb2 as pb
from shared.pb import telemetry_pb2

T0 = 1_700_000_000_000


def guest(key: str, name: str = "", state: str = "running", uuid: str = "", **attributes: str) -> pb.Resource:
    claims = [pb.IdentityClaim(type="instance_uuid", value=uuid, strength=100)] if uuid else []
    resource = pb.Resource(kind="guest", key=key, name=name or key, state=state, claims=claims)
    for attribute, value in attributes.items():
        resource.attributes[attribute].text = value
    return resource


def full(seconds: float, *resources: pb.Resource, source: str = "kvm", **fields: Any) -> pb.InventoryDelta:
    at = T0 + int(seconds * 1000)
    return pb.InventoryDelta(source=source, full=True, observed_ms=at, resources=resources, **fields)


def delta(seconds: float, *resources: pb.Resource, source: str = "kvm", **fields: Any) -> pb.InventoryDelta:
    return pb.InventoryDelta(source=source, observed_ms=T0 + int(seconds * 1000), resources=resources, **fields)


def gone(key: str) -> pb.Removal:
    return pb.Removal(kind="guest", key=key)


def apply(site: Site, *deltas: pb.InventoryDelta) -> None:
    async def scenario() -> None:
        async with connected(site.url, application="test") as connection:
            for one in deltas:
                async with transaction(connection):
                    await apply_inventory(connection, site.site_id, one)

    asyncio.run(scenario())


def versions(site: Site) -> list[tuple[Any, ...]]:
    """Return (name, state, from, to, state since) in seconds after T0, by begin and name."""
    seconds = "(extract(epoch FROM {}) - 1700000000)::float8"
    columns = ", ".join(seconds.format(name) for name in ("valid_from", "valid_to", "state_since"))
    return site.rows(f"SELECT name, state, {columns} FROM resource_version ORDER BY valid_from, name")


def test_what_did_not_change_is_not_written_again(site: Site) -> None:
    apply(site, full(0, guest("1", os="linux")), full(10, guest("1", os="linux")), delta(20, guest("1", os="linux")))
    assert versions(site) == [("1", "running", 0, None, 0)]


def test_a_rename_opens_a_version_and_keeps_the_states_age(site: Site) -> None:
    apply(site, full(0, guest("1", "web")), delta(10, guest("1", "www")), delta(20, guest("1", "www", "paused")))
    assert versions(site) == [
        ("web", "running", 0, 10, 0),
        ("www", "running", 10, 20, 0),
        ("www", "paused", 20, None, 20),
    ]


def test_a_removal_closes_and_a_return_begins_anew(site: Site) -> None:
    apply(site, full(0, guest("1")), delta(10, removed=[gone("1")]), delta(30, guest("1")))
    assert versions(site) == [("1", "running", 0, 10, 0), ("1", "running", 30, None, 30)]
    assert site.rows("SELECT count(*) FROM resource") == [(1,)]


def test_a_full_inventory_closes_what_it_does_not_name_of_its_source_alone(site: Site) -> None:
    apply(site, full(0, guest("1"), guest("2")), full(5, guest("9"), source="other"), full(10, guest("2")))
    assert versions(site) == [("1", "running", 0, 10, 0), ("2", "running", 0, None, 0), ("9", "running", 5, None, 5)]


def test_no_version_begins_before_its_predecessor_when_the_clock_steps_back(site: Site) -> None:
    apply(site, delta(100, guest("1")), delta(40, guest("1", state="paused")), delta(50, guest("1", state="stopped")))
    found = versions(site)
    assert [state for _, state, *_ in found] == ["running", "paused", "stopped"]
    assert all(one[3] == two[2] and one[2] < two[2] for one, two in pairwise(found))


def test_two_live_guests_with_one_uuid_are_two_resources(site: Site) -> None:
    apply(site, full(0, guest("1", uuid="u")), delta(10, guest("2", uuid="u")))
    apply(site, full(20, guest("1", uuid="u"), guest("2", uuid="u"), guest("3", uuid="u")))
    assert site.rows("SELECT count(*) FROM resource") == [(3,)]
    assert [row[:4] for row in versions(site)] == [
        ("1", "running", 0, None),
        ("2", "running", 10, None),
        ("3", "running", 20, None),
    ]


def test_a_guest_that_moves_to_another_source_keeps_its_resource(site: Site) -> None:
    apply(site, full(0, guest("1", "web", uuid="u")))
    apply(site, delta(10, guest("x", "web", uuid="u"), source="other"), full(20))
    assert site.rows("SELECT count(*) FROM resource") == [(1,)]
    assert versions(site) == [("web", "running", 0, 10, 0), ("web", "running", 10, None, 0)]


def test_a_new_key_with_the_old_uuid_is_the_same_guest_and_the_old_key_is_free(site: Site) -> None:
    apply(site, full(0, guest("1", uuid="u")), full(10, guest("2", uuid="u")))
    assert site.rows("SELECT count(*) FROM resource") == [(1,)]
    apply(site, delta(20, guest("1", uuid="u")))
    assert site.rows("SELECT count(*) FROM resource") == [(2,)]
    assert [row[:4] for row in versions(site)][-2:] == [("2", "running", 10, None), ("1", "running", 20, None)]


def test_series_that_came_before_the_inventory_are_tied_to_what_the_claim_says(site: Site) -> None:
    async def define() -> None:
        async with connected(site.url, application="test") as connection:
            metrics = await register_metrics(connection, ["a.one"])
            async with transaction(connection):
                await lock_site(connection, site.site_id)
                await _mint(connection, site.site_id, [Definition("other", "guest", "x", metrics["a.one"], ())])

    apply(site, full(0, guest("1", uuid="u")))
    asyncio.run(define())
    apply(site, delta(10, guest("x", uuid="u"), source="other"), full(20, guest("x", uuid="u"), source="other"))
    ((from_key, to_key, relation_type, valid_to),) = site.rows(
        "SELECT f.key, t.key, type, valid_to FROM relation "
        "JOIN resource_key f ON f.site_id = relation.site_id AND f.resource_id = from_id "
        "JOIN resource_key t ON t.site_id = relation.site_id AND t.resource_id = to_id"
    )
    assert (from_key, to_key, relation_type, valid_to) == ("x", "1", "same_as", None)


def test_series_of_a_guest_that_came_to_another_source_are_its_own_before_its_inventory_is_there(site: Site) -> None:
    async def define(*wanted: tuple[str, str]) -> list[int]:
        async with connected(site.url, application="test") as connection:
            metric = (await register_metrics(connection, ["a.one"]))["a.one"]
            async with transaction(connection):
                await lock_site(connection, site.site_id)
                definitions = [Definition(source, "guest", key, metric, ()) for source, key in wanted]
                return [row[0] for row in await _mint(connection, site.site_id, definitions)]

    apply(site, full(0, guest("u", "web", uuid="u"), guest("x", uuid="v")))
    (before,) = asyncio.run(define(("kvm", "u")))
    # Of the guest whose UUID is v this source calls one by that UUID; in its own source another guest is called so.
    after = asyncio.run(define(("other", "u"), ("other", "v"), ("kvm", "v")))
    assert after[0] == before
    assert len(set(after)) == 3
    apply(site, delta(10, guest("u", "web", uuid="u"), source="other"), delta(11, removed=[gone("u")]))
    assert site.rows("SELECT count(*) FROM relation") == [(0,)]
    assert site.rows("SELECT count(*) FROM resource") == [(3,)]
    assert [row[:4] for row in versions(site) if row[0] == "web"] == [
        ("web", "running", 0, 10),
        ("web", "running", 10, None),
    ]


def test_a_copy_that_kept_the_bios_uuid_is_another_guest(site: Site) -> None:
    def copy(key: str, uuid: str) -> pb.Resource:
        resource = guest(key, uuid=uuid)
        resource.claims.add(type="dmi_uuid", value="bios", strength=90)
        return resource

    agent = pb.Resource(kind="guest", key="a", name="a", state="running")
    agent.claims.add(type="dmi_uuid", value="bios2", strength=90)
    known = copy("3", "w")
    known.claims[1].value = "bios2"
    apply(site, full(0, copy("1", "u"), known), full(10, copy("2", "v"), agent, source="other"))
    assert site.rows("SELECT count(*) FROM resource") == [(3,)]
    assert {row[0] for row in versions(site) if row[3] is None} == {"1", "2", "a"}


def test_backfilled_deltas_write_closed_history_only(site: Site) -> None:
    apply(site, full(0, guest("1"), guest("2")), full(100, guest("1")))
    # Later come the frames of the outage: 2 stopped at 10 and went at 30, 3 came at 40 and went at 60.
    apply(site, delta(10, guest("2", state="stopped")), delta(30, removed=[gone("2")]))
    apply(site, delta(40, guest("3")), delta(60, removed=[gone("3")]), delta(70, guest("1", state="paused")))
    assert versions(site) == [
        ("1", "running", 0, None, 0),
        ("2", "running", 0, 10, 0),
        ("2", "stopped", 10, 30, 10),
        ("3", "running", 40, 60, 40),
    ]


def relation(key: str, host: str) -> pb.Relation:
    one = pb.Relation(type="runs_on", to=telemetry_pb2.ResourceRef(source="kvm", kind="host", key=host))
    getattr(one, "from").CopyFrom(telemetry_pb2.ResourceRef(source="kvm", kind="guest", key=key))
    return one


def test_relations_open_move_and_close(site: Site) -> None:
    apply(site, full(0, guest("1"), guest("2"), relations=[relation("1", "a"), relation("2", "a")]))
    apply(site, delta(10, relations=[relation("1", "b")], removed_relations=[relation("1", "a")]))
    apply(site, delta(20, removed=[gone("2")]), full(30, guest("1"), relations=[relation("1", "c")]))
    found = site.rows(
        "SELECT f.key, t.key, (extract(epoch FROM valid_from) - 1700000000)::int, "
        "(extract(epoch FROM valid_to) - 1700000000)::int FROM relation "
        "JOIN resource_key f ON f.site_id = relation.site_id AND f.resource_id = from_id "
        "JOIN resource_key t ON t.site_id = relation.site_id AND t.resource_id = to_id ORDER BY 3, 1"
    )
    assert found == [("1", "a", 0, 10), ("2", "a", 0, 20), ("1", "b", 10, 30), ("1", "c", 30, None)]
