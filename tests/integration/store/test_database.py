"""Connections to a real PostgreSQL that comes and goes."""

import asyncio

import psycopg

from metaconsole.store.database import AsyncDatabase, transaction
from metaconsole.store.sites import ensure_site


def test_a_pool_does_not_hand_out_what_a_restart_of_postgresql_broke(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        ensure_site(connection, "home")

    async def scenario() -> tuple[object, object]:
        database = AsyncDatabase(database_url)
        await database.open()
        try:
            async with database.connection() as connection:
                before = (await (await connection.execute("SELECT pg_backend_pid()")).fetchone() or (0,))[0]
            with psycopg.connect(database_url) as other:
                other.execute("SELECT pg_terminate_backend(%s::int, 5000)", (before,))
            async with database.connection() as connection, transaction(connection):
                row = await (await connection.execute("SELECT pg_backend_pid(), count(*) FROM site")).fetchone()
            assert row is not None
            return before != row[0], row[1]
        finally:
            await database.close()

    assert asyncio.run(scenario()) == (True, 1)
