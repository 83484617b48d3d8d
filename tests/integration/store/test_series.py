"""Series definitions on a real PostgreSQL: one global id for one series, whatever defines it."""

import asyncio
import uuid

import pytest
from fixtures.log import Site, open_session

from metaconsole.store.database import connected
from metaconsole.store.definitions import Definition
from metaconsole.store.series import OutOfOrderError, define_series, load_series, register_metrics

ONE, TWO = uuid.UUID(int=1), uuid.UUID(int=2)


def definition(key: str, metric_id: int, **attributes: str) -> Definition:
    return Definition("machine", "host", key, metric_id, tuple(sorted(attributes.items())))


def test_a_new_epoch_and_the_twin_satellite_map_to_the_same_global_ids(site: Site) -> None:
    async def scenario() -> list[list[int]]:
        async with connected(site.url, application="test") as connection:
            metrics = await register_metrics(connection, ["a.one", "a.two"])
            one, two = metrics["a.one"], metrics["a.two"]
            first = [
                definition("h", one, device="vda"),
                definition("h", one),
                definition("h", two),
                definition("i", one),
            ]
            found = []
            for epoch, number, order in ((ONE, 0, first), (TWO, 0, first[::-1]), (TWO, 1, first)):
                sender = await open_session(connection, site, epoch, number)
                ids = await define_series(connection, site.site_id, sender.satellite_id, epoch, 1, order)
                found.append(ids.series.tolist())
            return found

    first, second, twin = asyncio.run(scenario())
    assert len(set(first)) == 4
    assert second == first[::-1]
    assert twin == first
    assert site.rows("SELECT count(*) FROM resource") == [(2,)]


def test_the_map_is_loaded_as_it_was_defined_with_refused_ones_as_zero(site: Site) -> None:
    async def scenario() -> tuple[list[int], list[int]]:
        async with connected(site.url, application="test") as connection:
            metrics = await register_metrics(connection, ["a.one"])
            sender = await open_session(connection, site, ONE)
            who = (site.site_id, sender.satellite_id, ONE)
            defined: list[int] = []
            for first, metric_id in ((1, metrics["a.one"]), (3, 0), (5, metrics["a.one"])):
                pair = [definition(f"h{first}", metric_id), definition(f"h{first + 1}", metric_id)]
                defined += (await define_series(connection, *who, first, pair)).series.tolist()
            return defined, (await load_series(connection, *who)).series.tolist()

    defined, loaded = asyncio.run(scenario())
    assert loaded == defined
    assert loaded[2:4] == [0, 0]
    assert 0 not in loaded[:2] + loaded[4:]


def test_definitions_that_leave_a_hole_change_nothing(site: Site) -> None:
    async def scenario() -> None:
        async with connected(site.url, application="test") as connection:
            metrics = await register_metrics(connection, ["a.one"])
            sender = await open_session(connection, site, ONE)
            with pytest.raises(OutOfOrderError):
                await define_series(
                    connection, site.site_id, sender.satellite_id, ONE, 2, [definition("h", metrics["a.one"])]
                )

    asyncio.run(scenario())
    assert site.rows("SELECT count(*) FROM series") == [(0,)]
    assert site.rows("SELECT series_through FROM epoch") == [(0,)]


def test_the_map_of_a_drained_epoch_goes_and_can_be_defined_again(site: Site) -> None:
    async def scenario() -> list[list[int]]:
        async with connected(site.url, application="test") as connection:
            metrics = await register_metrics(connection, ["a.one"])
            found = []
            for epoch in (ONE, TWO, ONE):
                sender = await open_session(connection, site, epoch)
                ids = await define_series(
                    connection, site.site_id, sender.satellite_id, epoch, 1, [definition("h", metrics["a.one"])]
                )
                found.append(ids.series.tolist())
            return found

    first, second, again = asyncio.run(scenario())
    assert first == second == again
    assert site.rows("SELECT epoch FROM epoch_series") == [(ONE,)]


def test_neighbours_in_a_batch_get_neighbouring_ids_whoever_else_defines(site: Site) -> None:
    """Two satellites define a thousand series each, at the same time."""

    async def define(number: int, epoch: uuid.UUID) -> list[int]:
        async with connected(site.url, application="test") as connection:
            metrics = await register_metrics(connection, ["a.one", "a.two"])
            sender = await open_session(connection, site, epoch, number)
            keys = [definition(f"{number}-{key}", metrics[name]) for name in ("a.one", "a.two") for key in range(500)]
            ids = await define_series(connection, site.site_id, sender.satellite_id, epoch, 1, keys)
            found: list[int] = ids.series.tolist()
            return found

    async def scenario() -> list[list[int]]:
        return list(await asyncio.gather(define(0, ONE), define(1, TWO)))

    for ids in asyncio.run(scenario()):
        assert ids == list(range(ids[0], ids[0] + 1000))
