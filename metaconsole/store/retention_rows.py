"""What leaves the database row by row: what a site or some metrics keep for a shorter time, and old facts.

The one promise: a transaction here is short; it deletes the rows of a page of series, or a limited number of facts.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from metaconsole.store.database import AsyncConnection, transaction
from metaconsole.store.retention_rules import Rules, Share, Tier
from metaconsole.store.sql import statements

SERIES: Final = 200  # in a page
ROWS: Final = 5_000  # of facts in a transaction
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FACTS: Final[tuple[Tier, ...]] = ("event", "gap", "quarantine")
_SAMPLES: Final[tuple[Tier, ...]] = ("raw", "rollup")
_SQL: Final = statements("retention")


async def delete_facts(connection: AsyncConnection, now: datetime, rules: Rules) -> int:
    """Delete events, gaps and refused frames that are too old, and return how many; raises UnavailableError."""
    deleted = 0
    for site_id in await sites(connection):
        for tier in _FACTS:
            before = now - timedelta(days=rules.days(tier, site_id))
            rows = ROWS
            while rows == ROWS:
                async with transaction(connection):
                    cursor = await connection.execute(
                        _SQL[f"delete_{tier}"], {"site_id": site_id, "before": before, "limit": ROWS}
                    )
                rows = cursor.rowcount
                deleted += rows
    return deleted


async def delete_samples(connection: AsyncConnection, now: datetime, rules: Rules) -> int:
    """Delete chunks and rollups that go before the pieces of their tables do, and return how many.

    It visits every series that such a rule is about: once a day is enough. Raises UnavailableError.
    """
    async with transaction(connection):
        rows = await (await connection.execute(_SQL["metrics"])).fetchall()
    metrics: dict[str, int] = dict(rows)
    deleted = 0
    for site_id in await sites(connection):
        for tier in _SAMPLES:
            for share in rules.shorter(tier, site_id, metrics):
                deleted += await _delete_share(connection, tier, share, (now - _EPOCH).days - share.days)
    return deleted


async def sites(connection: AsyncConnection) -> list[int]:
    """Return the ids of all sites; raises UnavailableError."""
    async with transaction(connection):
        rows = await (await connection.execute(_SQL["sites"])).fetchall()
    return [site_id for (site_id,) in rows]


async def _delete_share(connection: AsyncConnection, tier: Tier, share: Share, day: int) -> int:
    deleted, after = 0, 0
    while series := await _page(connection, share, after):
        async with transaction(connection):
            parameters = {"site_id": share.site_id, "series": series, "day": day}
            deleted += (await connection.execute(_SQL[f"delete_{tier}"], parameters)).rowcount
        after = series[-1]
    return deleted


async def _page(connection: AsyncConnection, share: Share, after: int) -> Sequence[int]:
    parameters = {"site_id": share.site_id, "metrics": list(share.metric_ids), "after": after, "limit": SERIES}
    async with transaction(connection):
        rows = await (await connection.execute(_SQL["page_of_metrics"], parameters)).fetchall()
    return [series_id for (series_id,) in rows]
