"""Connections to PostgreSQL, synchronous and asynchronous, and the few errors that the rest of the program tells apart.

The one promise: whatever goes wrong between here and PostgreSQL inside `transaction` surfaces as one of two errors:
UnavailableError (try again later with a new connection) or UnstorableError (these values will never be taken).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import pq
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from metaconsole.store.sql import statements

Row: TypeAlias = tuple[Any, ...]
Connection: TypeAlias = psycopg.Connection[Row]
AsyncConnection: TypeAlias = psycopg.AsyncConnection[Row]
Pool: TypeAlias = ConnectionPool[Connection]
AsyncPool: TypeAlias = AsyncConnectionPool[AsyncConnection]

CONNECT_SECONDS: Final = 10
_NO_PARTITION: Final = "23514"  # check_violation: for the log it says that a partition is missing, which heals
_SQL: Final = statements("database")


class StoreError(Exception):
    """PostgreSQL did not do what was asked."""


class UnavailableError(StoreError):
    """PostgreSQL can't be reached, is full, restarts or waits for a lock: drop the connection and try again later."""


class LockedError(UnavailableError):
    """A lock was not to be had within the transaction's lock_timeout."""


class UnstorableError(StoreError):
    """PostgreSQL refuses the values themselves; trying again does not help."""


class NotDurableError(StoreError):
    """PostgreSQL is set up to lose what it has committed."""


def connect(url: str, *, statement_timeout: float = 30.0, application: str = "nephoscope") -> Connection:
    """Connect synchronously; statement_timeout is in seconds, 0 for none. Raises psycopg.OperationalError."""
    return psycopg.connect(url, **_parameters(statement_timeout, application))


async def connect_async(
    url: str, *, statement_timeout: float = 30.0, application: str = "nephoscope", autocommit: bool = False
) -> AsyncConnection:
    """Connect asynchronously; statement_timeout is in seconds, 0 for none. Raises UnavailableError."""
    try:
        return await psycopg.AsyncConnection.connect(
            url, autocommit=autocommit, **_parameters(statement_timeout, application)
        )
    except (psycopg.Error, OSError) as error:
        raise _translated(error) from error


def pool(url: str, *, size: int = 8, statement_timeout: float = 30.0, application: str = "nephoscope") -> Pool:
    """Return a pool that is still closed: open it in the process that uses it, after any fork."""
    return ConnectionPool(
        url,
        min_size=1,
        max_size=size,
        open=False,
        timeout=CONNECT_SECONDS,
        kwargs=_parameters(statement_timeout, application),
        check=ConnectionPool.check_connection,
    )


class AsyncDatabase:
    """A few asynchronous connections, made when they are needed; opened in the loop that uses them."""

    def __init__(self, url: str, *, size: int = 4, application: str = "nephoscope") -> None:
        self._pool: AsyncPool = AsyncConnectionPool(
            url,
            min_size=0,
            max_size=size,
            open=False,
            timeout=CONNECT_SECONDS,
            kwargs=_parameters(30.0, application),
            # What a restart of PostgreSQL broke is replaced, not handed out.
            check=AsyncConnectionPool.check_connection,
        )

    async def open(self) -> None:
        """Make it usable; connects to nothing yet."""
        await self._pool.open()

    async def close(self) -> None:
        """Close every connection. Works without open, and twice."""
        await self._pool.close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection; raises UnavailableError where none can be had in time."""
        try:
            async with self._pool.connection() as connection:
                yield connection
        except (psycopg.Error, OSError) as error:
            raise _translated(error) from error


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Raise UnavailableError or UnstorableError instead of the driver's errors."""
    try:
        yield
    except (psycopg.Error, OSError) as error:
        raise _translated(error) from error


@asynccontextmanager
async def connected(url: str, *, application: str, autocommit: bool = False) -> AsyncIterator[AsyncConnection]:
    """Connect, and close in the end; raises UnavailableError."""
    async with translated(), await connect_async(url, application=application, autocommit=autocommit) as connection:
        yield connection


@asynccontextmanager
async def transaction(connection: AsyncConnection) -> AsyncIterator[None]:
    """Run one transaction, or a savepoint inside one; raises UnavailableError or UnstorableError."""
    async with translated(), connection.transaction():
        yield


async def close(connection: AsyncConnection) -> None:
    """Close a connection, broken or not."""
    try:
        await connection.close()
    except (psycopg.Error, OSError) as error:
        raise _translated(error) from error


async def require_durable(connection: AsyncConnection) -> None:
    """Raise NotDurableError unless a commit on this connection survives a power cut."""
    async with transaction(connection):
        rows = await (await connection.execute(_SQL["durability"])).fetchall()
    if off := [name for name, setting in rows if setting == "off"]:
        raise NotDurableError(
            f"PostgreSQL runs with {', '.join(f'{name} = off' for name in off)}, so what it acknowledges can be lost; "
            "set it to on in postgresql.conf (and on the role and the database), reload, and start the gateway again"
        )


def _parameters(statement_timeout: float, application: str) -> dict[str, Any]:
    return {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": application,
        "options": f"-c statement_timeout={int(statement_timeout * 1000)} -c timezone=UTC",
        # A peer that vanished is noticed within 20 s, not after the kernel's two hours.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 2,
    }


def _translated(error: Exception) -> StoreError:
    refused = isinstance(error, psycopg.DataError | psycopg.IntegrityError)
    if isinstance(error, psycopg.Error) and refused and error.sqlstate != _NO_PARTITION:
        return UnstorableError(str(error).strip())
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return LockedError(str(error).strip())
    return UnavailableError(str(error).strip() or type(error).__name__)


def is_usable(connection: AsyncConnection) -> bool:
    """Return whether the connection is open and outside a transaction."""
    return not connection.closed and connection.info.transaction_status == pq.TransactionStatus.IDLE
