"""How many series and resources a site may have: set by API, page and command; what is refused is told by all."""

from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from apiflask import APIFlask
from click.testing import CliRunner
from fixtures.web import World, sign_in

from metaconsole.cli import site as command

PATH = "/api/v1/sites/madrid/series"
DEFAULT = {"quota": 2_000_000, "resource_quota": 500_000}


def trail(url: str) -> list[tuple[str, str, dict[str, object]]]:
    """Return who set what, oldest first."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT actor, object, detail FROM audit WHERE action = 'site.quotas' ORDER BY audit_id"
        )
        return rows.fetchall()


def test_the_api_the_page_and_the_command_set_the_same(
    app: APIFlask, database_url: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = world.site("madrid")
    admin = sign_in(app, database_url, "ana", "admin")
    headers = {"X-CSRF-Token": admin.csrf}
    assert admin.get(PATH).get_json() == {**DEFAULT, "series": 0, "resources": 0}
    world.resource(site, "vm-1")
    world.series(site, "vm-1", "system.cpu.utilization")
    world.connection.execute("UPDATE dictionary SET resources = 1")
    assert admin.get(PATH).get_json() == {**DEFAULT, "series": 1, "resources": 1}
    for given in ({"quota": 5_000}, {"resource_quota": 400}):
        put = admin.client.put(PATH, json=given, headers=headers)
        assert put.status_code == 204, put.text
    assert admin.get(PATH).get_json() == {"quota": 5_000, "resource_quota": 400, "series": 1, "resources": 1}
    page = admin.get("/sites/madrid/series").text
    assert "The site has 1 of 5,000 series and 1 of 400 resources." in page
    for quota in ("5000", "400"):
        assert f'value="{quota}"' in page
    form = {"csrf_token": admin.csrf, "quota": "6000", "resources": "500"}
    posted = admin.client.post("/sites/madrid/series", data=form)
    assert (posted.status_code, posted.location) == (303, "/satellites?site=madrid")
    page = admin.get("/satellites").text
    assert "1 of 6,000" in page
    assert "1 of 500" in page
    monkeypatch.setenv("NEPHOSCOPE_DATABASE_URL", database_url)
    for more, told in (
        (["--quota", "7000"], "1 of 7000 series\n1 of 500 resources\n"),
        (["--resources", "600"], "1 of 7000 series\n1 of 600 resources\n"),
        ([], "1 of 7000 series\n1 of 600 resources\n"),
    ):
        done = CliRunner().invoke(command, ["series", "--home", str(tmp_path), "madrid", *more])
        assert (done.exit_code, done.output) == (0, told)
    assert trail(database_url) == [
        ("ana", "madrid", {"series": 5_000}),
        ("ana", "madrid", {"resources": 400}),
        ("ana", "madrid", {"series": 6_000, "resources": 500}),
        ("command line", "madrid", {"series": 7_000}),
        ("command line", "madrid", {"resources": 600}),
    ]
    done = CliRunner().invoke(command, ["series", "--home", str(tmp_path), "atlantis"])
    assert done.exit_code == 1
    assert "there is no site 'atlantis'; nephoscope site list names them" in done.output


def test_what_makes_no_sense_is_told_beside_the_form_and_only_an_administrator_may(
    app: APIFlask, database_url: str, world: World
) -> None:
    world.site("madrid")
    world.site("lisbon")
    admin = sign_in(app, database_url, "ana", "admin")
    for quota, resources, told in (
        ("x", "1", "two numbers"),
        ("1", "", "two numbers"),
        ("9999999999", "1", "0 to 1000000000 series"),
        ("1", "9999999999", "0 to 1000000000 resources"),
    ):
        form = {"csrf_token": admin.csrf, "quota": quota, "resources": resources}
        answer = admin.client.post("/sites/madrid/series", data=form)
        assert answer.status_code == 400
        assert told in answer.text
        for typed in (quota, resources):
            assert f'value="{typed}"' in answer.text, "what was typed is still there"
    for name, role, sites, expected in (
        ("oscar", "operator", (), 403),
        ("luis", "admin", ("lisbon",), 404),
    ):
        somebody = sign_in(app, database_url, name, role, sites)
        answer = somebody.client.put(PATH, json={"quota": 1}, headers={"X-CSRF-Token": somebody.csrf})
        assert answer.status_code == expected, name
        assert somebody.get("/sites/madrid/series").status_code == expected
    assert trail(database_url) == []


def test_what_is_refused_is_on_the_page_in_both_languages_in_the_api_and_in_the_figures(
    app: APIFlask, database_url: str, world: World
) -> None:
    site = world.site("madrid")
    for number, at in ((1, "1 hour"), (2, "1 minute")):
        world.connection.execute(
            "INSERT INTO refused_series VALUES (%s, %s, %s, 600, now() - %s::interval, %s, 'guest', 'system.cpu.time', "
            "'pod', 590)",
            (site.site_id, site.satellite, UUID(int=number), at, f"vc{number}"),
        )
    world.connection.execute("INSERT INTO dictionary VALUES (%s, 2000, 2000)", (site.site_id,))
    world.connection.execute(
        "INSERT INTO tally (site_id, satellite_id, epoch, block, reason, ranges, samples) "
        "VALUES (%s, %s, %s, 0, 'refused: quota', '{}', 4321)",
        (site.site_id, site.satellite, UUID(int=2)),
    )
    world.connection.execute("UPDATE satellite SET epochs_refused_at = now() - interval '3 minutes'")
    admin = sign_in(app, database_url, "ana", "admin")
    (told,) = admin.get("/api/v1/satellites").get_json()["items"]
    refused = told["refused_series"]
    assert (refused["definitions"], refused["source"]) == (1200, "vc2")
    assert (refused["label"], refused["label_values"]) == ("pod", 590)
    assert (told["refused_samples"], told["site_series"], told["site_series_quota"]) == (4321, 2000, 2000)
    assert told["missing_frames"] == 0
    assert told["epochs_refused"] is not None
    page = admin.get("/satellites").text
    for words in (
        "1,200 series of this satellite are refused: site madrid has the 2,000",
        "source vc2, kind guest, metric system.cpu.time, where pod had the most new values: 590.",
        "2,000 of 2,000", "/sites/madrid/series", "4,321", "starts over and over",
    ):  # fmt: skip
        assert words in page, words
    page = admin.client.get("/satellites", headers={"Accept-Language": "es"}).text
    assert "Se rechazan 1.200 series de este satélite" in page
    assert "arranca una y otra vez" in page
    figures = app.test_client().get("/metrics").text
    for line in (
        'nephoscope_satellite_series_refused{satellite="madrid-satellite",site="madrid"} 1200.0',
        'nephoscope_satellite_samples_refused{satellite="madrid-satellite",site="madrid"} 4321.0',
        'nephoscope_site_series{site="madrid"} 2000.0',
        'nephoscope_site_series_quota{site="madrid"} 2000.0',
    ):
        assert line in figures
    # Once there is room, and all was taken, nothing is told any more.
    world.connection.execute("DELETE FROM refused_series")
    world.connection.execute("UPDATE satellite SET epochs_refused_at = now() - interval '6 minutes'")
    page = admin.get("/satellites").text
    assert "are refused:" not in page
    assert "starts over" not in page


def test_what_of_resources_is_left_out_is_on_the_page_in_both_languages_in_the_api_and_in_the_figures(
    app: APIFlask, database_url: str, world: World
) -> None:
    site = world.site("madrid")
    for source, kind, resources in (("vc1", "guest", 1200), ("vc1", "disk", 30), ("vc2", "guest", 4)):
        world.connection.execute(
            "INSERT INTO left_out VALUES (%s, %s, %s, %s, %s)", (site.site_id, site.satellite, source, kind, resources)
        )
    world.connection.execute(
        "INSERT INTO dictionary (site_id, resources, resource_quota) VALUES (%s, 3000, 3000)", (site.site_id,)
    )
    world.connection.execute(
        "INSERT INTO refused_series VALUES (%s, %s, %s, 7, now(), 'vc1', 'guest', 'system.cpu.time', '', 7, 7)",
        (site.site_id, site.satellite, UUID(int=1)),
    )
    admin = sign_in(app, database_url, "ana", "admin")
    (told,) = admin.get("/api/v1/satellites").get_json()["items"]
    out = told["left_out_resources"]
    assert {name: out[name] for name in ("resources", "source", "kind", "of_these")} == {
        "resources": 1234, "source": "vc1", "kind": "guest", "of_these": 1200
    }  # fmt: skip
    assert (told["site_resources"], told["site_resources_quota"]) == (3000, 3000)
    assert (told["refused_series"]["definitions"], told["refused_series"]["for_resources"]) == (7, 7)
    page = admin.get("/satellites").text
    for words in (
        "1,234 resources of this satellite are left out: site madrid has the 3,000",
        "Most are of source vc1 and kind guest: 1,200.", "3,000 of 3,000",
        "7 series of this satellite are refused: they are of new resources, and site madrid has the 3,000 resources",
    ):  # fmt: skip
        assert words in page, words
    page = admin.client.get("/satellites", headers={"Accept-Language": "es"}).text
    assert "Se dejan fuera 1.234 recursos de este satélite" in page
    figures = app.test_client().get("/metrics").text
    for line in (
        'nephoscope_satellite_resources_left_out{satellite="madrid-satellite",site="madrid"} 1234.0',
        'nephoscope_site_resources{site="madrid"} 3000.0',
        'nephoscope_site_resources_quota{site="madrid"} 3000.0',
    ):
        assert line in figures
    world.connection.execute("DELETE FROM left_out")
    assert "left out:" not in admin.get("/satellites").text
