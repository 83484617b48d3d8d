"""What is told of resources that are new while their site has all that it may have: it is left out, and counted.

The one promise: what is left out is counted in the transaction that would have written it.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, TypeAlias
from uuid import UUID

from metaconsole.store.database import AsyncConnection
from metaconsole.store.identity import Reference
from metaconsole.store.sql import statements

LeftOut: TypeAlias = Counter[tuple[str, str]]  # how many resources, by the source that told and by kind
_SQL: Final = statements("left_out")


def left_out(missing: Iterable[tuple[str, Reference]]) -> LeftOut:
    """Return how many different resources that some sources told are missing."""
    return Counter((source, kind) for source, (_, kind, _) in set(missing))


async def begin_anew(connection: AsyncConnection, site_id: int, satellite_id: UUID, source: str) -> None:
    """Forget what a source left out: all that it has follows."""
    who = {"site_id": site_id, "satellite_id": satellite_id, "source": source}
    await connection.execute(_SQL["begin_anew"], who)


async def note(connection: AsyncConnection, site_id: int, satellite_id: UUID, found: LeftOut) -> tuple[str, str, int]:
    """Count what was left out; return the names of satellite and site, and how many resources the site may have."""
    parameters: dict[str, Any] = {
        "site_id": site_id,
        "satellite_id": satellite_id,
        "sources": [source for source, _ in found],
        "kinds": [kind for _, kind in found],
        "resources": list(found.values()),
    }
    await connection.execute(_SQL["note"], parameters)
    row = await (await connection.execute(_SQL["names"], parameters)).fetchone()
    assert row is not None
    return row[0], row[1], row[2]
