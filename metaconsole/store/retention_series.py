"""The dictionary of series loses those of which nothing is left.

The one promise: a series stays while a chunk, a rollup, a part or a row of the log may hold a sample of it, and while
the map of an epoch names it, so that a satellite which still has it goes on under the same id.
"""

from datetime import datetime
from typing import Any, Final

from metaconsole.store.database import AsyncConnection, transaction
from metaconsole.store.pieces import SLAB
from metaconsole.store.quota import count
from metaconsole.store.series import lock_site
from metaconsole.store.sql import statements

PAGE: Final = 500
_SQL: Final = statements("retention")


async def forget_series(connection: AsyncConnection, site_id: int, before: datetime) -> int:
    """Delete the site's series that were first seen before an instant and hold nothing, and return how many.

    It looks at every series, in pages: once a day is enough. Raises UnavailableError.
    """
    forgotten, after = 0, 0
    mapped: set[int] | None = None
    while True:
        parameters: dict[str, Any] = {"site_id": site_id, "before": before, "after": after, "limit": PAGE, "slab": SLAB}
        async with transaction(connection):
            page = await (await connection.execute(_SQL["page_of_series"], parameters)).fetchall()
        if not page:
            return forgotten
        silent = [series_id for series_id, is_silent in page if is_silent]
        if silent and mapped is None:
            mapped = await _mapped(connection, site_id)
        if gone := [series_id for series_id in silent if series_id not in (mapped or ())]:
            async with transaction(connection):
                await lock_site(connection, site_id)  # nobody defines a series meanwhile
                cursor = await connection.execute(_SQL["forget_series"], {**parameters, "series": gone})
                await count(connection, site_id, series=-cursor.rowcount)
            forgotten += cursor.rowcount
        after = page[-1][0]


async def _mapped(connection: AsyncConnection, site_id: int) -> set[int]:
    async with transaction(connection):
        rows = await (await connection.execute(_SQL["mapped_series"], {"site_id": site_id})).fetchall()
    return {series_id for (series_id,) in rows}
