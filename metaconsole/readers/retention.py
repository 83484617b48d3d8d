"""The task that keeps the storage: partitions ahead, what is read, merged or too old gone, and the sizes noted."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Final

from metaconsole.readers.base import BACKOFF_SECONDS
from metaconsole.store.database import AsyncConnection, UnavailableError, connected
from metaconsole.store.partitions import ensure_day_partitions, ensure_log_partitions
from metaconsole.store.retention import drop_expired, drop_merged_parts, drop_read_log, load_rules, take_turn
from metaconsole.store.retention_resources import forget_resources
from metaconsole.store.retention_rows import delete_facts, delete_samples, sites
from metaconsole.store.retention_series import forget_series
from metaconsole.store.stats_days import note_sizes
from metaconsole.store.tallies import forget

LOOK_SECONDS: Final = 600.0
_log = logging.getLogger(__name__)


async def keep_storage(url: str) -> None:
    """Look every 10 minutes until cancelled; of many processes one does the work, and another one when it ends."""
    while True:
        try:
            async with connected(url, application="nephoscope storage") as connection:
                mine, swept = False, 0
                while True:
                    mine = mine or await take_turn(connection)
                    if mine:
                        now = datetime.now(UTC)
                        await look(connection, now, sweep=_day(now) > swept)
                        swept = _day(now)
                    await asyncio.sleep(LOOK_SECONDS)
        except UnavailableError as error:
            _log.warning("the storage was not kept, next try in a minute: %s", error)
            await asyncio.sleep(60 * BACKOFF_SECONDS)


async def look(connection: AsyncConnection, now: datetime, *, sweep: bool) -> None:
    """Do once what is due; with sweep also what visits every series and resource. Raises UnavailableError."""
    today = _day(now)
    await ensure_log_partitions(connection, now)
    await ensure_day_partitions(connection, (today, today + 1))
    rules = await load_rules(connection)
    dropped = await drop_read_log(connection, now, rules.longest("log"))
    dropped += await drop_merged_parts(connection, now)
    dropped += await drop_expired(connection, now, rules)
    deleted = await delete_facts(connection, now, rules)
    if sweep:
        deleted += await delete_samples(connection, now, rules)
        before = now - timedelta(days=rules.longest("raw"))
        for site_id in await sites(connection):
            deleted += await forget_series(connection, site_id, before)
            ended = now - timedelta(days=rules.days("inventory", site_id))
            deleted += await forget_resources(connection, site_id, ended)
        await forget(connection)
    await note_sizes(connection, today)
    if dropped or deleted:
        _log.info(
            "of the storage %s partitions were dropped and %s rows deleted", len(dropped), deleted,
            extra={"event": "storage.kept", "partitions": dropped},
        )  # fmt: skip


def _day(now: datetime) -> int:
    return int(now.timestamp()) // 86_400
