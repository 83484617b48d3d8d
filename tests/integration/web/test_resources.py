"""Lists and what hangs on a resource, as the API tells them."""

import numpy as np
import pytest
from fixtures.web import Api, Site, World, now_ms

from metaconsole.live_view import LiveWriter
from metaconsole.settings import Settings

GAUGE = "system.cpu.utilization"


@pytest.fixture
def site(world: World) -> Site:
    return world.site("home")


def _write(settings: Settings, series: int, at_ms: int, value: float, interval_ms: int = 10_000) -> None:
    writer = LiveWriter(settings.run)
    writer.update(np.array([series]), np.array([at_ms]), np.array([value]), interval_ms)
    writer.publish()


def test_pages_hold_every_resource_once_in_order(world: World, api: Api, site: Site) -> None:
    other = world.site("attic")
    for index in range(25):
        world.resource(site if index % 3 else other, f"guest-{index:02}", "guest" if index % 2 else "host")
    found, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        page = api.get("/api/v1/resources", limit=7, **({"cursor": cursor} if cursor else {})).get_json()
        found += [(one["site"], one["kind"], one["name"]) for one in page["items"]]
        cursor, pages = page["next"], pages + 1
    assert pages == 4
    assert len(set(found)) == 25
    assert [one[0] for one in found] == ["home"] * 16 + ["attic"] * 9, "site by site, in the order of their ids"
    assert all(
        sorted(group) == group for name in ("home", "attic") for group in [[one for one in found if one[0] == name]]
    )


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"kind": "host"}, ["Alpha"]),
        ({"q": "aLp"}, ["Alpha", "alphabet"]),
        ({"q": "%"}, ["100%"]),
        ({"q": "_"}, []),
        ({"q": "AB:CD"}, ["Alpha"]),
        ({"q": "cd"}, []),
        ({"site": "home", "source": "machine", "kind": "guest"}, ["100%", "alphabet"]),
        ({"site": "elsewhere"}, []),
        ({"q": "\0"}, ["Alpha", "100%", "alphabet"]),
    ],
)
def test_search_takes_what_is_typed_literally(
    world: World, api: Api, site: Site, query: dict[str, str], names: list[str]
) -> None:
    world.resource(site, "Alpha", "host", serial="ab:cd:ef")
    world.resource(site, "alphabet")
    world.resource(site, "100%")
    items = api.get("/api/v1/resources", **query).get_json()["items"]
    assert sorted(one["name"] for one in items) == sorted(names)


@pytest.mark.parametrize(
    "query", [{"cursor": "x"}, {"limit": "0"}, {"limit": "501"}, {"limit": "a"}, {"kind": "unicorn"}, {"colour": "red"}]
)
def test_a_wrong_question_is_told(api: Api, query: dict[str, str]) -> None:
    response = api.get("/api/v1/resources", **query)
    assert response.status_code == 422
    (name,) = query
    assert name in response.get_json()["detail"]


def test_a_resource_with_fresh_samples_is_what_it_is(world: World, api: Api, settings: Settings, site: Site) -> None:
    resource = world.resource(site, "guest", serial="s-1")
    series = world.series(site, "guest", GAUGE)
    _write(settings, series, now_ms() - 15_000, 0.5)
    item = api.get(f"/api/v1/resources/{resource}").get_json()
    assert {name: item[name] for name in ("id", "kind", "name", "site", "source", "state", "stale", "removed")} == {
        "id": resource,
        "kind": "guest",
        "name": "guest",
        "site": "home",
        "source": "machine",
        "state": "running",
        "stale": False,
        "removed": None,
    }
    assert item["attributes"] == {"os.type": "linux"}
    assert item["identities"] == [{"type": "serial", "value": "s-1", "strength": 80}]
    assert abs(item["state_since"] - now_ms()) < 60_000
    (one,) = api.get(f"/api/v1/resources/{resource}/series").get_json()["items"]
    assert (one["id"], one["metric"], one["unit"], one["kind"]) == (str(series), GAUGE, "1", "gauge")
    assert one["value"] == 0.5
    assert one["last"] <= now_ms() - 15_000


@pytest.mark.parametrize(
    ("sample_age", "beat_age", "source", "stale", "state"),
    [
        (15_000, 0, "ok", False, "running"),
        (25_000, 0, "ok", True, "running"),  # the guest stopped answering, its source did not
        (15_000, 60, "ok", False, "running"),  # the samples are still young
        (25_000, 60, "ok", True, "unknown"),
        (25_000, 0, "failing", True, "unknown"),
        (None, 0, "ok", False, "running"),  # without series the source tells
        (None, 60, "ok", True, "unknown"),
        (None, 0, "failing", True, "unknown"),
    ],
)
def test_what_is_not_seen_is_unknown_and_not_down(
    world: World,
    api: Api,
    settings: Settings,
    site: Site,
    sample_age: int | None,
    beat_age: float,
    source: str,
    stale: bool,
    state: str,
) -> None:
    resource = world.resource(site, "guest")
    if sample_age is not None:
        _write(settings, world.series(site, "guest", GAUGE), now_ms() - sample_age, 0.5)
    world.heartbeat(site, beat_age, source)
    item = api.get(f"/api/v1/resources/{resource}").get_json()
    assert (item["stale"], item["state"], item["last_state"]) == (stale, state, "running")


def test_a_removed_resource_is_still_found_by_its_id(world: World, api: Api, site: Site) -> None:
    resource = world.resource(site, "guest")
    world.connection.execute("UPDATE resource_version SET valid_to = now()")
    assert api.get("/api/v1/resources").get_json()["items"] == []
    item = api.get(f"/api/v1/resources/{resource}").get_json()
    assert (item["state"], item["stale"]) == ("unknown", True)
    assert abs(item["removed"] - now_ms()) < 60_000


@pytest.mark.parametrize("wrong", ["x", "0" * 36, "00000000-0000-0000-0000-000000000000", "%00", "ñ"])
def test_no_such_resource(api: Api, wrong: str) -> None:
    for suffix in ("", "/series", "/events", "/relations"):
        response = api.get(f"/api/v1/resources/{wrong}{suffix}")
        assert response.status_code == 404
        assert response.mimetype == "application/problem+json"


def test_relations_are_told_from_both_ends(world: World, api: Api, site: Site) -> None:
    host, guest = world.resource(site, "host", "host", "up"), world.resource(site, "guest")
    world.relation(site, "guest", "runs_on", "host")
    (out,) = api.get(f"/api/v1/resources/{guest}/relations").get_json()["items"]
    assert out == {
        "type": "runs_on",
        "direction": "out",
        "resource": {"id": host, "kind": "host", "name": "host", "state": "up"},
    }
    (back,) = api.get(f"/api/v1/resources/{host}/relations").get_json()["items"]
    assert (back["direction"], back["resource"]["id"]) == ("in", guest)


def test_events_come_newest_first_page_by_page(world: World, api: Api, site: Site) -> None:
    guest = world.resource(site, "guest")
    start = now_ms()
    for index in range(7):
        world.event(site, "guest", start + index // 2 * 1000, f"event {index}")  # two at one instant
    path, cursor = f"/api/v1/resources/{guest}/events", None
    told: list[dict[str, object]] = []
    while not told or cursor is not None:
        page = api.get(path, limit=3, **({"cursor": cursor} if cursor else {})).get_json()
        told += page["items"]
        cursor = page["next"]
    assert [one["message"] for one in told] == [f"event {index}" for index in reversed(range(7))]
    assert [one["time"] for one in told] == [start + index // 2 * 1000 for index in reversed(range(7))]


def test_gaps_are_those_of_the_resource_its_source_and_its_satellite(world: World, api: Api, site: Site) -> None:
    guest, other = world.resource(site, "guest"), world.resource(site, "other")
    start = now_ms() - 600_000
    world.gap(site, start, start + 10_000)
    world.gap(site, start + 10_000, start + 20_000, guest)
    world.gap(site, start + 10_000, start + 20_000, other)
    world.gap(site, start + 20_000, start + 30_000, satellite=True)
    world.gap(world.site("attic"), start, start + 30_000, satellite=True)
    path = f"/api/v1/resources/{guest}/gaps"
    items = api.get(path, **{"from": start, "to": start + 60_000}).get_json()["items"]
    assert [(one["scope"], one["from"] - start, one["to"] - start) for one in items] == [
        ("source", 0, 10_000),
        ("resource", 10_000, 20_000),
        ("satellite", 20_000, 30_000),
    ]
    assert items[0]["reason"] == "unreachable"
    items = api.get(path, **{"from": start + 10_000, "to": start + 20_000}).get_json()["items"]
    assert [one["scope"] for one in items] == ["resource"], "a gap's end is excluded"
    assert api.get(path, **{"from": 5, "to": 5}).status_code == 422
    assert api.get(path).status_code == 422


def test_sites_satellites_and_sources(world: World, api: Api, site: Site) -> None:
    world.site("attic")
    world.resource(site, "a")
    world.resource(site, "b", state="stopped")
    world.connection.execute(
        "INSERT INTO reader_position (site_id, reader, satellite_id, ordinal) VALUES (%s, 'live', %s, 3)",
        (site.site_id, site.satellite),
    )
    world.connection.execute("UPDATE satellite SET head = 5 WHERE site_id = %s", (site.site_id,))
    attic, home = api.get("/api/v1/sites").get_json()["items"]
    assert (attic["name"], attic["state"], attic["resources"]) == ("attic", "ok", {})
    assert (home["id"], home["state"]) == (str(site.site_id), "ok")
    assert home["resources"] == {"guest": {"running": 1, "stopped": 1}}
    (satellite,) = [one for one in api.get("/api/v1/satellites").get_json()["items"] if one["site"] == "home"]
    assert (satellite["state"], satellite["version"], satellite["spool_bytes"]) == ("seen", "0.1.0", 4096)
    assert 1_000 <= satellite["lag_ms"] <= 60_000
    spool = {name: value for name, value in satellite.items() if name.startswith(("spool", "disk"))}
    assert spool == {
        "spool_frames": 3, "spool_bytes": 4096, "spool_bound_bytes": 8192, "spool_kept_bytes": 512,
        "spool_full_seconds": 7200, "spool_dropped_frames": 2, "spool_dropped_samples": 30, "disk_free_bytes": 2**30,
    }  # fmt: skip
    assert satellite["readers"] == [{"reader": "live", "ordinal": 3, "behind": 2}]
    (source,) = [one for one in api.get("/api/v1/sources").get_json()["items"] if one["site"] == "home"]
    assert (source["name"], source["state"], source["satellite"], source["samples"]) == (
        "machine",
        "ok",
        "home-satellite",
        123,
    )

    world.heartbeat(site, age_seconds=16)
    home = api.get("/api/v1/sites").get_json()["items"][1]
    assert (home["state"], home["resources"]) == ("unknown", {"guest": {"unknown": 2}})
    assert {one["state"] for one in api.get("/api/v1/satellites").get_json()["items"]} == {"seen", "unknown"}
    assert {one["state"] for one in api.get("/api/v1/sources").get_json()["items"]} == {"ok", "unknown"}


def test_the_catalogue_is_told(api: Api) -> None:
    items = {one["name"]: one for one in api.get("/api/v1/metrics-catalogue").get_json()["items"]}
    assert items[GAUGE]["unit"] == "1"
    assert items[GAUGE]["description_es"] != items[GAUGE]["description"]
    assert items["resource.state"]["codes"]
