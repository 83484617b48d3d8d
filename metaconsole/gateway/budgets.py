"""The sites' budgets of backfill: read every second, told to the sessions that they concern.

The one promise: what an administrator sets reaches a satellite within two seconds, while PostgreSQL answers.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from metaconsole.store.budgets import Budget, load_budgets
from metaconsole.store.database import AsyncDatabase, UnavailableError

LOOK_SECONDS: Final = 1.0
_log: Final = logging.getLogger(__name__)


class Budgets:
    """What was read last. `run` is a task of the gateway that ends by cancellation."""

    def __init__(self, database: AsyncDatabase) -> None:
        self._database = database
        self._known: dict[int, Budget] = {}
        self.changed: Callable[[int], None] = lambda _: None  # called with a site whose budget is another one now

    def of(self, site_id: int) -> Budget:
        """Return a site's budget."""
        return self._known.get(site_id, Budget())

    async def load(self) -> None:
        """Read them once; raises UnavailableError."""
        async with self._database.connection() as connection:
            known = await load_budgets(connection)
        before, self._known = self._known, known
        for site_id in before.keys() | known.keys():
            if before.get(site_id) != known.get(site_id):
                self.changed(site_id)

    async def run(self) -> None:
        """Read them every second until cancelled; while PostgreSQL is away, what was read last holds."""
        while True:
            try:
                await self.load()
            except UnavailableError as error:
                _log.debug("the sites' budgets were not read: %s", error)
            await asyncio.sleep(LOOK_SECONDS)
