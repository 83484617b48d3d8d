"""Lets a process serve on the schema that it was made for, and on no other.

The one promise: what finds a newer schema while it runs ends in order, with a sentence.
"""

import asyncio
from typing import Final

from metaconsole.process import Serve
from metaconsole.settings import Settings
from metaconsole.store.database import UnavailableError, connected
from metaconsole.store.schema import require_schema

SCHEMA_SECONDS: Final = 2.0  # between two looks
CANCEL_SECONDS: Final = 0.2


async def serve_on_schema(serve: Serve, settings: Settings, stop: asyncio.Event) -> None:
    """Serve until stop is set; raises SchemaError, at the start or when the schema was changed."""
    await _look(settings.database_url)
    watching = asyncio.create_task(_watch(settings.database_url), name="schema")
    watching.add_done_callback(lambda _: stop.set())
    try:
        await serve(settings, stop)
    finally:
        while not watching.done():  # again and again: Python 3.11's wait_for can lose a cancellation
            watching.cancel()
            await asyncio.wait([watching], timeout=CANCEL_SECONDS)
    if not watching.cancelled():
        watching.result()


async def _watch(url: str) -> None:
    while True:
        await asyncio.sleep(SCHEMA_SECONDS)
        await _look(url)


async def _look(url: str) -> None:
    try:
        async with connected(url, application="nephoscope schema") as connection:
            await require_schema(connection)
    except UnavailableError:
        return  # whoever needs the database tells of that
