"""The one mechanism of every reader: claim a site, read what comes next, put out, move the position, wake up again.

The one promise: a row's output and the position after it are one transaction, so each row is read once, whatever is
killed in between.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Final, Protocol
from uuid import UUID

from google.protobuf.message import DecodeError

from metaconsole.store.database import AsyncConnection, StoreError, UnavailableError, connected, transaction
from metaconsole.store.frames import LogKind
from metaconsole.store.positions import Entry, Position, advance, claim, read_next, sites_behind

LOOK_SECONDS: Final = 1.0
BACKOFF_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 300.0  # after which a satellite whose log could not be read is tried again
_log = logging.getLogger(__name__)


class Reader(Protocol):
    """What is made of the log. Rows of other kinds than its own are passed by."""

    @property
    def name(self) -> str:
        """The name under which its positions are kept."""

    @property
    def kinds(self) -> frozenset[LogKind]:
        """The kinds of rows that it wants."""

    async def prepare(self, connection: AsyncConnection) -> None:
        """Do what comes before the first row; called after each connect."""

    async def process(self, connection: AsyncConnection, entries: Sequence[Entry]) -> None:
        """Put out the rows of one satellite, in order, inside the transaction that moves the position."""

    async def caught_up(self, connection: AsyncConnection) -> None:
        """Be told that nothing more waits, after each look."""


class ReaderLoop:
    """One reader's work in this process; `run` is a task that ends by cancellation."""

    def __init__(self, url: str, reader: Reader) -> None:
        self._url = url
        self._reader = reader
        self._stopped: dict[tuple[int, UUID], float] = {}
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """Read until cancelled; while PostgreSQL is away, try again every second."""
        told = False
        while True:
            try:
                async with connected(self._url, application=f"nephoscope {self._reader.name}") as connection:
                    await self._reader.prepare(connection)
                    if told:
                        _log.info("reader %s reads again", self._reader.name, extra={"event": "reader.back"})
                    told = False
                    await self._follow(connection)
            except UnavailableError as error:
                if not told:
                    _log.error("reader %s waits for PostgreSQL: %s", self._reader.name, error)
                told = True
                await asyncio.sleep(BACKOFF_SECONDS)

    async def look(self, connection: AsyncConnection) -> int:
        """Read once what waits at each site, and return the number of rows read; raises UnavailableError."""
        return sum(
            [await self._read_site(connection, site) for site in await sites_behind(connection, self._reader.name)]
        )

    async def _follow(self, connection: AsyncConnection) -> None:
        while True:
            self.wake.clear()
            while await self.look(connection):
                pass
            await self._reader.caught_up(connection)
            try:
                await asyncio.wait_for(self.wake.wait(), LOOK_SECONDS)
            except TimeoutError:
                continue  # it looks by itself, too: a notification may be lost

    async def _read_site(self, connection: AsyncConnection, site_id: int) -> int:
        read = 0
        async with transaction(connection):
            for position in await claim(connection, self._reader.name, site_id):
                if not self._is_stopped(position):
                    read += await self._read_satellite(connection, position)
        return read

    async def _read_satellite(self, connection: AsyncConnection, position: Position) -> int:
        try:
            async with transaction(connection):
                entries = await read_next(connection, position, self._reader.kinds)
                wanted = [entry for entry in entries if entry.kind in self._reader.kinds]
                if wanted:
                    await self._reader.process(connection, wanted)
                await advance(connection, self._reader.name, entries[-1])
        except UnavailableError:
            raise
        except (StoreError, ValueError, DecodeError) as error:
            self._stop(position, error)
            return 0
        return len(entries)

    def _is_stopped(self, position: Position) -> bool:
        until = self._stopped.get((position.site_id, position.satellite_id), 0.0)
        return until > time.monotonic()

    def _stop(self, position: Position, error: Exception) -> None:
        """Stop reading one satellite, loudly; the others go on."""
        self._stopped[position.site_id, position.satellite_id] = time.monotonic() + RETRY_SECONDS
        _log.error(
            "reader %s stops at row %s of satellite %s of site %s and tries again in %.0f s: %s",
            self._reader.name, position.ordinal + 1, position.satellite_id, position.site_id, RETRY_SECONDS, error,
            extra={"event": "reader.stopped"},
        )  # fmt: skip
