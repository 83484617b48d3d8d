"""`nephoscope metaconsole db` on a real PostgreSQL."""

import json

import psycopg
import pytest
from click.testing import CliRunner, Result
from fixtures.web import World

from metaconsole.cli import metaconsole
from metaconsole.home import DATABASE_ENVIRONMENT


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch) -> "Runner":
    monkeypatch.setenv(DATABASE_ENVIRONMENT, world.url)
    return Runner()


class Runner:
    def __call__(self, *arguments: str, status: int = 0) -> Result:
        result = CliRunner().invoke(metaconsole, ["db", *arguments])
        assert result.exit_code == status, result.output
        return result


def test_stats_accounts_for_every_byte_as_text_and_as_json(run: Runner, world: World) -> None:
    world.site("home")
    told = json.loads(run("stats", "--json").stdout)
    assert told["total_bytes"] == world.one("SELECT pg_database_size(current_database())")
    assert told["total_bytes"] == (
        sum(table["bytes"] for table in told["tables"]) + told["catalogue_bytes"] + told["file_bytes"]
    )
    assert {tier["tier"] for tier in told["tiers"]} >= {"log", "parts", "chunks", "rollups", "inventory", "accounts"}
    text = run("stats").stdout
    assert "home" in text
    assert "Growth is known once sizes were noted on two days." in text


def test_retention_is_shown_set_and_audited(run: Runner, world: World) -> None:
    world.site("home")
    assert "raw\t*\t*\t400" in run("retention", "show").stdout.splitlines()
    run("retention", "set", "raw", "--site", "home", "--metrics", "counter", "--days", "30")
    assert "raw\thome\tcounter\t30" in run("retention", "show").stdout.splitlines()
    run("retention", "set", "raw", "--site", "home", "--metrics", "counter", "--inherit")
    assert "counter" not in run("retention", "show").stdout
    rows = world.connection.execute("SELECT actor, action, object, detail FROM audit ORDER BY audit_id").fetchall()
    detail = {"site": "home", "metrics": "counter", "days": 30}
    assert rows == [
        ("command line", "retention.set", "raw", detail),
        ("command line", "retention.set", "raw", detail | {"days": None}),
    ]
    assert (
        "there is no site 'nowhere'"
        in run("retention", "set", "raw", "--site", "nowhere", "--days", "3", status=1).stderr
    )
    assert "say either --days or --inherit" in run("retention", "set", "raw", status=2).stderr


def test_distribute_says_that_citus_is_missing(run: Runner, world: World) -> None:
    assert "install Citus on every server" in run("distribute", status=1).stderr
    with psycopg.connect(world.url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_extension WHERE extname = 'citus'").fetchone() == (0,)
