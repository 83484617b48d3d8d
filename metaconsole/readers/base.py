"""The one mechanism of every reader: claim a site, read what comes next, put out, move the position, wake up again.

The one promise: a row's output and the position after it are one transaction, so each row is read once, whatever is
killed in between.
"""

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final, Protocol
from uuid import UUID

from google.protobuf.message import DecodeError

from metaconsole.store.database import AsyncConnection, StoreError, UnavailableError, connected, transaction
from metaconsole.store.frames import LogKind
from metaconsole.store.positions import Entry, Position, advance, claim, read_next, sites_behind
from shared.failpoints import failpoint

LOOK_SECONDS: Final = 1.0
BACKOFF_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 300.0  # after which a satellite whose log could not be read is tried again
_log = logging.getLogger(__name__)


class Reader(Protocol):
    """What is made of the log."""

    @property
    def name(self) -> str:
        """The name under which its positions are kept."""

    async def prepare(self, connection: AsyncConnection) -> None:
        """Do what comes before the first row; called after each connect."""

    async def sites(self, connection: AsyncConnection) -> Sequence[int]:
        """Return the sites where something waits for it."""

    async def read(self, connection: AsyncConnection, position: Position) -> int:
        """Read on from a claimed position and move it, inside one transaction; return how many rows were passed."""

    async def caught_up(self, connection: AsyncConnection) -> None:
        """Be told that nothing more waits, after each look."""


class Follower(ABC):
    """A reader that puts out row by row, as they come. Rows of other kinds than its own are passed by."""

    name: str
    kinds: frozenset[LogKind]

    async def prepare(self, connection: AsyncConnection) -> None:  # noqa: B027  # most need nothing
        """Need nothing before the first row."""

    async def sites(self, connection: AsyncConnection) -> Sequence[int]:
        """Return the sites whose log goes on behind its positions."""
        return await sites_behind(connection, self.name)

    async def read(self, connection: AsyncConnection, position: Position) -> int:
        """Put out the next rows and move behind them."""
        entries = await read_next(connection, position, self.kinds)
        wanted = [entry for entry in entries if entry.kind in self.kinds]
        if wanted:
            await self.process(connection, wanted)
        await self.passed(connection, entries)
        await advance(connection, self.name, position, entries[-1].ordinal, entries[-1].received_at)
        return len(entries)

    @abstractmethod
    async def process(self, connection: AsyncConnection, entries: Sequence[Entry]) -> None:
        """Put out the rows of one satellite, in order, inside the transaction that moves the position."""

    async def passed(self, connection: AsyncConnection, entries: Sequence[Entry]) -> None:  # noqa: B027
        """Need nothing of rows as such, whatever their kind; in the same transaction."""

    async def caught_up(self, connection: AsyncConnection) -> None:  # noqa: B027  # most need nothing
        """Need nothing after the last row."""


class ReaderLoop:
    """One reader's work in this process; `run` is a task that ends by cancellation."""

    def __init__(self, url: str, reader: Reader, look_seconds: float = LOOK_SECONDS) -> None:
        self._url = url
        self._reader = reader
        self._look_seconds = look_seconds
        self._stopped: dict[tuple[int, UUID], float] = {}
        self._told: set[str] = set()  # why it waits for PostgreSQL: an outage's reason changes, as from cut to full
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """Read until cancelled; while PostgreSQL is away, try again every second."""
        while True:
            try:
                async with connected(self._url, application=f"nephoscope {self._reader.name}") as connection:
                    await self._reader.prepare(connection)
                    await self._follow(connection)
            except UnavailableError as error:
                if str(error) not in self._told:
                    _log.error("reader %s waits for PostgreSQL: %s", self._reader.name, error)
                self._told.add(str(error))
                await asyncio.sleep(BACKOFF_SECONDS)

    async def look(self, connection: AsyncConnection) -> int:
        """Read once what waits at each site, and return the number of rows read; raises UnavailableError."""
        return sum([await self._read_site(connection, site) for site in await self._reader.sites(connection)])

    async def _follow(self, connection: AsyncConnection) -> None:
        while True:
            self.wake.clear()
            while await self.look(connection):
                self._goes_on()
            self._goes_on()
            await self._reader.caught_up(connection)
            try:
                await asyncio.wait_for(self.wake.wait(), self._look_seconds)
            except TimeoutError:
                continue  # it looks by itself, too: a notification may be lost

    def _goes_on(self) -> None:
        # Not when it has connected: a full disk takes connections and no rows.
        if self._told:
            self._told.clear()
            _log.info("reader %s reads again", self._reader.name, extra={"event": "reader.back"})

    async def _read_site(self, connection: AsyncConnection, site_id: int) -> int:
        read = 0
        async with transaction(connection):
            for position in await claim(connection, self._reader.name, site_id):
                if not self._is_stopped(position):
                    read += await self._read_satellite(connection, position)
            failpoint("reader.commit.before")
        failpoint("reader.commit.after")
        return read

    async def _read_satellite(self, connection: AsyncConnection, position: Position) -> int:
        try:
            async with transaction(connection):
                return await self._reader.read(connection, position)
        except UnavailableError:
            raise
        except (StoreError, ValueError, DecodeError) as error:
            self._stop(position, error)
            return 0

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
