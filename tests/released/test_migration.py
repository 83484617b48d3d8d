"""A database of any release migrates to today's schema, with its data, and then equals a new one."""

from pathlib import Path

import psycopg
import pytest
from fixtures import accounting
from fixtures.stack import database

from metaconsole.store import database as connections
from metaconsole.store.migrate import migrate
from released.folders import RELEASES
from released.schema import schema


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_a_database_of_a_release_migrates(release: Path, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    with database(tmp_path / "old") as old, database(tmp_path / "new") as new:
        old.client("psql", "--quiet", "--set=ON_ERROR_STOP=1", "--file", str(release / "dump.sql"))
        for server in (old, new):
            with connections.connect(server.url) as connection:
                migrate(connection)
        assert schema(old) == schema(new)
        assert {batch.source for batch in accounting.read_log(old.url).batches} == {"alpha"}
        with psycopg.connect(old.url) as connection:
            counted = connection.execute("SELECT sum(samples) FROM log").fetchone()
        assert counted is not None
        assert counted[0] == sum(len(batch.series) for batch in accounting.read_log(old.url).batches)


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_the_schema_kept_is_the_dumps(release: Path, tmp_path: Path) -> None:
    with database(tmp_path) as old:
        old.client("psql", "--quiet", "--set=ON_ERROR_STOP=1", "--file", str(release / "dump.sql"))
        assert schema(old) == (release / "schema.sql").read_text(encoding="utf-8")
