"""A site's budget of backfill: set by the API, the page and the command; on the audit trail; within the scope."""

from pathlib import Path

import psycopg
import pytest
from apiflask import APIFlask
from click.testing import CliRunner
from fixtures.web import World, sign_in

from metaconsole.cli import site as command

PATH = "/api/v1/sites/madrid/backfill"


def trail(url: str) -> list[tuple[str, str, dict[str, object]]]:
    """Return who set what, oldest first."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT actor, object, detail FROM audit WHERE action = 'site.backfill' ORDER BY audit_id"
        )
        return rows.fetchall()


def test_the_api_the_page_and_the_command_set_the_same(
    app: APIFlask, database_url: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.site("madrid")
    admin = sign_in(app, database_url, "ana", "admin")
    headers = {"X-CSRF-Token": admin.csrf}
    assert admin.get(PATH).get_json() == {"kbit": 0, "hours": ""}
    put = admin.client.put(PATH, json={"kbit": 256, "hours": "22:00-06:30"}, headers=headers)
    assert put.status_code == 204, put.text
    page = admin.get("/sites/madrid/backfill").text
    assert 'value="256"' in page
    assert 'value="22:00-06:30"' in page
    form = {"csrf_token": admin.csrf, "kbit": "512", "hours": ""}
    posted = admin.client.post("/sites/madrid/backfill", data=form)
    assert (posted.status_code, posted.location) == (303, "/satellites?site=madrid")
    assert admin.get(PATH).get_json() == {"kbit": 512, "hours": ""}
    monkeypatch.setenv("NEPHOSCOPE_DATABASE_URL", database_url)
    arguments = ["backfill", "--home", str(tmp_path), "madrid", "--kbit", "64", "--hours", "01:00-02:00"]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.output
    assert admin.get(PATH).get_json() == {"kbit": 64, "hours": "01:00-02:00"}
    assert trail(database_url) == [
        ("ana", "madrid", {"kbit": 256, "hours": "22:00-06:30"}),
        ("ana", "madrid", {"kbit": 512, "hours": ""}),
        ("command line", "madrid", {"kbit": 64, "hours": "01:00-02:00"}),
    ]


@pytest.mark.parametrize(
    ("kbit", "hours", "told"),
    [("x", "", "number of kbit/s"), ("1", "25:00-06:00", "22:00-06:00"), ("999999999", "", "100000000")],
)
def test_what_makes_no_sense_is_told_beside_the_form(
    app: APIFlask, database_url: str, world: World, kbit: str, hours: str, told: str
) -> None:
    world.site("madrid")
    admin = sign_in(app, database_url, "ana", "admin")
    answer = admin.client.post("/sites/madrid/backfill", data={"csrf_token": admin.csrf, "kbit": kbit, "hours": hours})
    assert answer.status_code == 400
    assert told in answer.text
    assert f'value="{kbit}"' in answer.text, "what was typed is still there"
    assert trail(database_url) == []


def test_only_an_administrator_of_the_site_may(app: APIFlask, database_url: str, world: World) -> None:
    world.site("madrid")
    world.site("lisbon")
    for name, role, sites, expected in (
        ("oscar", "operator", (), 403),
        ("vera", "viewer", (), 403),
        ("luis", "admin", ("lisbon",), 404),
    ):
        somebody = sign_in(app, database_url, name, role, sites)
        answer = somebody.client.put(PATH, json={"kbit": 1}, headers={"X-CSRF-Token": somebody.csrf})
        assert answer.status_code == expected, name
    world.connection.execute(
        "INSERT INTO role_binding (account_id, role, site_id) SELECT account_id, 'viewer', site_id FROM account, site "
        "WHERE account.name = 'luis' AND site.name = 'madrid'"
    )
    assert somebody.get(PATH).status_code == 200, "who may read it now"
    answer = somebody.client.put(PATH, json={"kbit": 1}, headers={"X-CSRF-Token": somebody.csrf})
    assert answer.status_code == 404, "is its administrator no more than before"
    assert somebody.get("/sites/madrid/backfill").status_code == 404
    assert trail(database_url) == []


def test_an_unknown_site_is_named(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEPHOSCOPE_DATABASE_URL", database_url)
    done = CliRunner().invoke(command, ["backfill", "--home", str(tmp_path), "atlantis", "--kbit", "1"])
    assert done.exit_code == 1
    assert "there is no site 'atlantis'; nephoscope site list names them" in done.output


def test_the_satellites_page_tells_when_the_backlog_will_be_here(
    app: APIFlask, database_url: str, world: World
) -> None:
    site = world.site("madrid")
    world.heartbeat(site, spool_bytes=36_000_000, backfill_rate=10_000.0)
    admin = sign_in(app, database_url, "ana", "admin")
    (told,) = admin.get("/api/v1/satellites").get_json()["items"]
    assert told["backfill_rate"] == 10_000
    assert told["backfill_ends"] > told["seen_at"] + 3_000_000
    page = admin.get("/satellites").text
    assert "done in 1\N{NO-BREAK SPACE}h" in page
    assert "/sites/madrid/backfill" in page
