"""The readers' two processes: those that follow the log row by row with the bell that wakes them, and the compactor.

The one promise: any number of them may run at once; of those that share a run folder one keeps its live view, and
another takes over when that one ends.
"""

import asyncio
import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from metaconsole.locking import try_lock
from metaconsole.readers.base import BACKOFF_SECONDS, ReaderLoop
from metaconsole.readers.compactor import LOOK_SECONDS, Compactor
from metaconsole.readers.facts import FactsReader
from metaconsole.readers.live import LiveReader
from metaconsole.readers.merger import Merger
from metaconsole.readers.retention import keep_storage
from metaconsole.settings import Settings
from metaconsole.store.database import UnavailableError, connected
from metaconsole.store.partitions import ensure_log_partitions
from metaconsole.store.positions import listen, wait_for_notification
from shared.tasks import first_of

PARTITIONS_SECONDS: Final = 3600.0
COMPACTION_NICE: Final = 5
TAKE_OVER_SECONDS: Final = 1.0
_log = logging.getLogger(__name__)


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run all readers until stop is set; one that dies ends the process visibly."""
    url = settings.database_url
    loops = [ReaderLoop(url, FactsReader())]
    _log.info("the readers run", extra={"event": "readers.run"})
    reading = [loop.run() for loop in loops]
    await first_of(*reading, _keep_live_view(settings, loops), _ring(url, loops), _keep_partitions(url), stop.wait())


async def _keep_live_view(settings: Settings, loops: list[ReaderLoop]) -> None:
    """Run the live reader while no other process keeps the view of this run folder; joins the loops to be woken."""
    while (lock := try_lock(settings.run / "live.lock")) is None:  # noqa: ASYNC110 - nobody tells when a process ends
        await asyncio.sleep(TAKE_OVER_SECONDS)
    try:
        loop = ReaderLoop(settings.database_url, LiveReader(settings.run))
        loops.append(loop)
        await loop.run()
    finally:
        os.close(lock)


async def serve_compaction(settings: Settings, stop: asyncio.Event) -> None:
    """Run compactor, merger and retention until stop is set, behind everything else that wants the processor."""
    os.nice(COMPACTION_NICE)
    url = settings.database_url
    _log.info("the compactor runs", extra={"event": "compactor.runs"})
    compactor = ReaderLoop(url, Compactor(url), LOOK_SECONDS)
    await first_of(compactor.run(), Merger(url).run(), keep_storage(url), stop.wait())


async def _ring(url: str, loops: Sequence[ReaderLoop]) -> None:
    """Wake every reader when a gateway has stored something."""
    while True:
        try:
            async with connected(url, application="nephoscope readers bell", autocommit=True) as connection:
                await listen(connection)
                while True:
                    await wait_for_notification(connection)
                    for loop in loops:
                        loop.wake.set()
        except UnavailableError:
            # The readers tell of the outage; they look every second by themselves.
            await asyncio.sleep(BACKOFF_SECONDS)


async def _keep_partitions(url: str) -> None:
    while True:
        try:
            async with connected(url, application="nephoscope partitions") as connection:
                await ensure_log_partitions(connection, datetime.now(UTC))
            await asyncio.sleep(PARTITIONS_SECONDS)
        except UnavailableError as error:
            _log.warning("partitions of the log were not made ahead: %s", error)
            await asyncio.sleep(60 * BACKOFF_SECONDS)
