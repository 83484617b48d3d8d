"""What inventories told leaves: old versions and relations, and resources that are gone and of which nothing is left.

The one promise: a resource stays while it is there, while a series, an event, a gap or an open relation is about it,
and while one that is there is tied to it; and its count changes in the transaction that deletes it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from metaconsole.store.database import AsyncConnection, transaction
from metaconsole.store.identity import STRONG
from metaconsole.store.quota import count
from metaconsole.store.series import lock_site
from metaconsole.store.sql import statements

PAGE: Final = 500  # resources
ROWS: Final = 5_000  # in a transaction
CLAIMS: Final = 256  # of a resource that stay: a message has at most 64
OTHERS: Final = 100  # with the same claim, that are looked at
_SQL: Final = statements("retention_resources")


async def forget_resources(connection: AsyncConnection, site_id: int, before: datetime) -> int:
    """Delete what ended before an instant at a site, and return how many rows, those of resources counted alone.

    It looks at every resource, in pages: once a day is enough. Raises UnavailableError.
    """
    deleted, after = 0, UUID(int=0)
    while True:
        parameters: dict[str, Any] = {"site_id": site_id, "before": before, "rows": ROWS, "claims": CLAIMS}
        async with transaction(connection):
            look = {**parameters, "after": after, "limit": PAGE}
            page = await (await connection.execute(_SQL["page_of_resources"], look)).fetchall()
        if not page:
            return deleted
        parameters["resources"] = [resource_id for resource_id, _ in page]
        for name in ("delete_versions", "delete_relations", "delete_claims"):
            deleted += await _delete(connection, name, parameters)
        if gone := [resource_id for resource_id, is_gone in page if is_gone]:
            deleted += await _forget(connection, site_id, before, gone)
        after = page[-1][0]


async def _delete(connection: AsyncConnection, name: str, parameters: dict[str, Any]) -> int:
    """Run a statement that deletes so many rows at most until it finds less."""
    deleted, rows = 0, ROWS
    while rows == ROWS:
        async with transaction(connection):
            rows = (await connection.execute(_SQL[name], parameters)).rowcount
        deleted += rows
    return deleted


async def _forget(connection: AsyncConnection, site_id: int, before: datetime, gone: Sequence[UUID]) -> int:
    """Delete those of a page of resources that nothing needs, with all that is theirs."""
    parameters: dict[str, Any] = {"site_id": site_id, "before": before, "resources": list(gone)}
    async with transaction(connection):
        await lock_site(connection, site_id)  # nobody mints, tells of or defines anything meanwhile
        look = {**parameters, "strong": STRONG, "others": OTHERS}
        rows = await (await connection.execute(_SQL["forget_resources"], look)).fetchall()
        parameters["resources"] = [resource_id for (resource_id,) in rows]
        if rows:
            for name in ("forget_keys", "forget_claims", "forget_versions", "forget_relations", "forget_ties"):
                await connection.execute(_SQL[name], parameters)
            await count(connection, site_id, resources=-len(rows))
    return len(rows)
