"""Every named statement fits a database in shards by site: tables below a site are joined on equal site_id."""

from importlib.resources import files
from typing import Final

import pytest
from fixtures.sql_shape import Shape, parse
from fixtures.sql_subqueries import loose
from sqlglot import exp
from sqlglot.errors import SqlglotError

from metaconsole.store.distribute import DISTRIBUTED, LOCAL
from metaconsole.store.sql import statements

_DISTRIBUTED: Final = frozenset({*DISTRIBUTED, "unmerged_part"})  # a view of two of them
_KEYED: Final = frozenset({"site", "role_binding", "retention"})  # have a site_id, and are on every server
_NAMED: Final = {"piece": "log"}  # what stands as {name} in a statement
# Statements that sqlglot does not know, and parts of statements. None of them joins anything.
NOT_PARSED: Final = {
    "compaction.copy_parts": "COPY",
    "distribute.add_foreign_key": "ALTER TABLE … ADD CONSTRAINT",
    "log.copy": "COPY",
    "merging.copy_chunks": "COPY",
    "merging.copy_rollups": "COPY",
    "partitions.attach": "ALTER TABLE … ATTACH PARTITION",
    "retention.hold_days": "LOCK TABLE",
    "stats.measure_chunk": "columns of `scan`",
    "stats.measure_log": "columns of `scan`",
    "stats.measure_none": "columns of `scan`",
    "stats.measure_part": "columns of `scan`",
    "stats.measure_rollup": "columns of `scan`",
}
_DRAWING: Final = ("gen_random_uuid", "random", "clock_timestamp", "nextval", "uuid")
NOT_JOINED: Final = {
    "log.settle": "two writes of one group, each by whole keys",
    "overview.figures": "two counts, each by itself",
    "overview.satellites_seen": "whether there is any series is asked by itself",
    "resources.page": "what a pattern finds is asked by itself, and looked up by (site_id, resource_id)",
}


def named() -> dict[str, str]:
    stems = sorted(file.name.removesuffix(".sql") for file in (files("metaconsole.store") / "sql").iterdir())
    return {f"{stem}.{name}": text for stem in stems for name, text in statements(stem).items()}


def shape(text: str) -> Shape:
    return Shape(parse(text, _NAMED), _DISTRIBUTED, _KEYED)


def is_parsed(text: str) -> bool:
    try:
        return not isinstance(parse(text, _NAMED), exp.Command | exp.Copy)
    except SqlglotError:
        return False


@pytest.mark.parametrize(
    ("joined", "text"),
    [
        (True, "SELECT FROM series"),
        (True, "SELECT FROM series JOIN source ON source.site_id = series.site_id"),
        (False, "SELECT FROM series JOIN source ON source.source_id = series.series_id"),
        (False, "SELECT FROM series JOIN source ON source.site_id = series.site_id OR source.name = ''"),
        (False, "SELECT FROM series JOIN source ON source.site_id <> series.site_id"),
        (True, "SELECT FROM series JOIN source USING (site_id, source_id)"),
        (False, "SELECT FROM series JOIN source USING (source_id)"),
        (False, "SELECT FROM series CROSS JOIN source WHERE series.site_id = %(site)s"),
        (
            True,
            "SELECT FROM series CROSS JOIN source WHERE series.site_id = %(a)s AND source.site_id = %(a)s::bigint",
        ),
        (False, "SELECT FROM series CROSS JOIN source WHERE series.site_id = %(one)s AND source.site_id = %(two)s"),
        (True, "SELECT FROM site JOIN series s ON s.site_id = site.site_id JOIN source t ON t.site_id = site.site_id"),
        (True, "SELECT FROM series s WHERE EXISTS (SELECT FROM chunk c WHERE c.site_id = s.site_id)"),
        (False, "SELECT FROM series s WHERE EXISTS (SELECT FROM chunk c WHERE c.series_id = s.series_id)"),
        (True, "SELECT FROM series WHERE (site_id, series_id) IN (SELECT site_id, series_id FROM chunk)"),
        (False, "SELECT FROM series WHERE series_id IN (SELECT series_id FROM chunk)"),
        (True, "SELECT FROM (SELECT site_id FROM series) old JOIN chunk ON chunk.site_id = old.site_id"),
        (False, "SELECT FROM (SELECT series_id FROM series) old JOIN chunk ON chunk.series_id = old.series_id"),
        (
            True,
            "WITH old AS (SELECT site_id FROM series) DELETE FROM chunk USING old WHERE chunk.site_id = old.site_id",
        ),
        (False, "WITH old AS (SELECT site_id FROM series) DELETE FROM chunk USING old WHERE day = 1"),
        (True, "INSERT INTO gap (satellite_id, site_id) SELECT satellite_id, site_id FROM satellite"),
        (False, "INSERT INTO gap (satellite_id, site_id) SELECT satellite_id, 7 FROM satellite"),
        (True, "UPDATE chunk SET day = 1 FROM series s WHERE s.site_id = chunk.site_id"),
        (False, "UPDATE chunk SET day = (SELECT max(day) FROM rollup)"),
        (False, "DELETE FROM chunk USING series s WHERE s.series_id = chunk.series_id"),
    ],
)
def test_the_check_tells_a_join_on_site_id_from_others(joined: bool, text: str) -> None:
    assert shape(text).joined == joined


@pytest.mark.parametrize(
    ("answered", "text"),
    [
        (True, "SELECT (SELECT max(day) FROM chunk c WHERE c.site_id = s.site_id) FROM series s"),
        (True, "SELECT sum((SELECT max(day) FROM chunk c WHERE c.site_id = s.site_id)) FROM series s"),
        (False, "SELECT (SELECT max(day) FROM chunk c WHERE c.site_id = s.site_id) FROM site s"),
        (
            False,
            "SELECT (SELECT max(day) FROM chunk c WHERE c.site_id = s.site_id) FROM (SELECT * FROM series LIMIT 1) s",
        ),
        (False, "SELECT FROM site s WHERE EXISTS (SELECT 1 FROM chunk c WHERE c.site_id = s.site_id)"),
        (True, "DELETE FROM series s WHERE NOT EXISTS (SELECT 1 FROM chunk c WHERE c.site_id = s.site_id)"),
        (True, "SELECT (SELECT count(*) FROM series), EXISTS (SELECT 1 FROM chunk)"),
        (False, "SELECT count(*), EXISTS (SELECT 1 FROM chunk) FROM series"),
        (True, "SELECT n, EXISTS (SELECT 1 FROM chunk) FROM (SELECT count(*) AS n FROM series) AS counted"),
        (True, "SELECT FROM series WHERE series_id IN (SELECT series_id FROM chunk)"),
    ],
)
def test_the_check_tells_a_subquery_that_stands_beside_its_rows_from_others(answered: bool, text: str) -> None:
    assert (loose(parse(text, _NAMED), _DISTRIBUTED) == []) == answered


def test_what_a_limit_cuts_is_answered_by_itself() -> None:
    page = "SELECT FROM (SELECT site_id FROM series WHERE site_id = %(site)s LIMIT 1) page JOIN chunk c ON c.site_id = "
    assert not shape(page + "page.site_id").of_one_site
    assert shape(page + "%(site)s").of_one_site


def test_the_check_tells_locks_within_a_site_from_others() -> None:
    assert shape("SELECT FROM source WHERE site_id = %(site)s FOR UPDATE").locks_within_a_site
    assert not shape("SELECT FROM source WHERE site_id = ANY(%(sites)s) FOR UPDATE").locks_within_a_site
    locked = "SELECT FROM source JOIN series USING (site_id) WHERE series.site_id = %(site)s FOR UPDATE OF source"
    assert shape(locked).locks_within_a_site


@pytest.mark.parametrize("name", named())
def test_tables_below_a_site_are_joined_on_equal_site_id(name: str) -> None:
    text = named()[name]
    assert is_parsed(text) == (name not in NOT_PARSED)
    if name not in NOT_PARSED:
        found = shape(text)
        assert found.joined == (name not in NOT_JOINED), found.tables
        assert found.locks_within_a_site, found.locked


@pytest.mark.parametrize("name", sorted(named().keys() - NOT_PARSED))
def test_subqueries_stand_beside_the_rows_that_they_belong_to(name: str) -> None:
    text = named()[name]
    assert shape(text).of_one_site or loose(parse(text, _NAMED), _DISTRIBUTED) == []


@pytest.mark.parametrize("name", sorted(named().keys() - NOT_PARSED))
def test_every_query_has_columns(name: str) -> None:
    """What shards answer first becomes a function with these columns; PostgreSQL knows none without."""
    assert [query.sql() for query in parse(named()[name], _NAMED).find_all(exp.Select) if not query.expressions] == []


@pytest.mark.parametrize("name", sorted(named().keys() - NOT_PARSED))
def test_an_update_draws_nothing(name: str) -> None:
    """Each server that has a row, or a copy of it, runs the statement by itself, and would draw something else."""
    for update in parse(named()[name], _NAMED).find_all(exp.Update):
        if update.this.name not in LOCAL:
            assert [call.sql() for call in update.find_all(exp.Func) if call.sql().lower().startswith(_DRAWING)] == []


def test_the_lists_name_statements() -> None:
    assert {*NOT_PARSED, *NOT_JOINED} <= named().keys()
