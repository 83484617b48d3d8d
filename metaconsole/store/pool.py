"""The sync connections of the web: a pool that opens in the worker, never in the process that forks it.

The one promise: a connection handed out has a statement timeout, and its failures arrive as the two errors below.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import IsolationLevel
from psycopg_pool import PoolTimeout

from metaconsole.store import database
from metaconsole.store.database import Connection, Pool
from metaconsole.store.sql import statements

STATEMENT_SECONDS: Final = 10  # what one statement of a page or of the API may take
_SQL: Final = statements("pool")


class StoreUnavailableError(Exception):
    """PostgreSQL can't be reached, or every connection is busy."""


class StoreFullError(StoreUnavailableError):
    """PostgreSQL's disk is full: what is stored can be read, and nothing can be written."""


class StoreTooSlowError(Exception):
    """A statement took longer than STATEMENT_SECONDS."""


class Database:
    """PostgreSQL as the web sees it; patience is how many seconds a request waits for a connection."""

    def __init__(self, url: str, size: int = 8, patience: float = 3.0, *, application: str = "nephoscope web") -> None:
        self.patience = patience
        self._application = application
        self._url = url
        self._size = size
        self._pool: Pool | None = None
        self._opening = threading.Lock()

    def open(self) -> None:
        """Begin to connect, without waiting: what has a connection can read while a full disk refuses new ones."""
        self._opened()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Lend a connection in a read-only transaction that sees one moment, however many statements it takes.

        Raises StoreUnavailableError, StoreTooSlowError.
        """
        with self._lend(read_only=True) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Lend a connection in a transaction that commits at the end; raises as read does."""
        with self._lend(read_only=False) as connection:
            yield connection

    def live_notifications(self, beat: float) -> Iterator[bool]:
        """Yield True after each notification of the live reader, and False after beat seconds without one.

        Uses a connection of its own; raises StoreUnavailableError when it breaks.
        """
        try:
            with connect(self._url, application="nephoscope web live") as connection:
                connection.autocommit = True
                connection.execute(_SQL["listen"])
                yield True  # whatever was notified before this connection listened
                while True:
                    yield any(True for _ in connection.notifies(timeout=beat, stop_after=1))
        except psycopg.OperationalError as error:
            raise StoreUnavailableError(f"the notifications of the live view ended: {error}") from error

    def close(self) -> None:
        """Close what was opened; works twice."""
        with self._opening:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close(timeout=1)

    @contextmanager
    def _lend(self, *, read_only: bool) -> Iterator[Connection]:
        try:
            with self._opened().connection(self.patience) as connection:
                connection.read_only = read_only
                connection.isolation_level = IsolationLevel.REPEATABLE_READ if read_only else None
                yield connection
        except PoolTimeout as error:
            raise StoreUnavailableError(self._why_none()) from error
        except psycopg.errors.QueryCanceled as error:
            raise StoreTooSlowError(f"the database did not answer within {STATEMENT_SECONDS} s") from error
        except psycopg.errors.DiskFull as error:
            raise StoreFullError(database.told(error)) from error
        except psycopg.OperationalError as error:
            raise StoreUnavailableError(_told(error)) from error

    def _why_none(self) -> str:
        """Say why the pool had no connection to lend: it keeps the reason to itself, an attempt of our own tells it."""
        try:
            database.connect(self._url, application=self._application, patience=2).close()
        except psycopg.OperationalError as error:
            return _told(error)
        return f"every connection of this process was busy for {self.patience:g} s"

    def _opened(self) -> Pool:
        with self._opening:
            if self._pool is None:
                self._pool = database.pool(
                    self._url, size=self._size, statement_timeout=STATEMENT_SECONDS, application=self._application
                )
                self._pool.open()
            return self._pool


@contextmanager
def connect(url: str, application: str = "nephoscope command") -> Iterator[Connection]:
    """Connect once, and commit at the end; raises StoreUnavailableError."""
    try:
        with database.connect(url, statement_timeout=STATEMENT_SECONDS, application=application) as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise StoreUnavailableError(_told(error)) from error


def _told(error: psycopg.OperationalError) -> str:
    return f"the database can't be reached: {' '.join(database.told(error).split())}"
