"""Connections to PostgreSQL, synchronous and asynchronous, and the few errors that the rest of the program tells apart.

The one promise: whatever goes wrong between here and PostgreSQL inside `transaction` surfaces as one of two errors:
UnavailableError (try again later with a new connection) or UnstorableError (these values will never be taken).
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import psycopg
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolTimeout

from metaconsole.store.sql import statements

Row: TypeAlias = tuple[Any, ...]
Connection: TypeAlias = psycopg.Connection[Row]
AsyncConnection: TypeAlias = psycopg.AsyncConnection[Row]
Pool: TypeAlias = ConnectionPool[Connection]
AsyncPool: TypeAlias = AsyncConnectionPool[AsyncConnection]

CONNECT_SECONDS: Final = 10
POOL_RETRY_SECONDS: Final = 5  # after which a pool gives up connecting; the next who asks makes it try anew, at once
_FULL_DISK: Final = "53100"
_NO_SPACE: Final = "No space left on device"
_TAKEN: Final = ("too many clients", "connection slots are reserved")  # a refused connection carries no SQLSTATE
_NO_PARTITION: Final = "23514"  # check_violation: for the log it says that a partition is missing, which heals
_SQL: Final = statements("database")
_log = logging.getLogger(__name__)


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


def connect(
    url: str, *, statement_timeout: float = 30.0, application: str = "nephoscope", patience: int = CONNECT_SECONDS
) -> Connection:
    """Connect synchronously; statement_timeout (0: none) and patience are seconds. Raises psycopg.OperationalError."""
    return psycopg.connect(url, **_parameters(statement_timeout, application) | {"connect_timeout": patience})


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
        reconnect_timeout=POOL_RETRY_SECONDS,
        kwargs=_parameters(statement_timeout, application) | {"options": _for_the_web(statement_timeout)},
        check=ConnectionPool.check_connection,
    )


class AsyncDatabase:
    """A few asynchronous connections, made when they are needed; opened in the loop that uses them."""

    def __init__(self, url: str, *, size: int = 4, application: str = "nephoscope") -> None:
        self._url, self._application = url, application
        self._told: set[str] = set()  # why there is no connection, of this outage
        self._pool: AsyncPool = AsyncConnectionPool(
            url,
            min_size=0,
            max_size=size,
            open=False,
            timeout=CONNECT_SECONDS,
            reconnect_timeout=POOL_RETRY_SECONDS,
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
                if self._told:
                    self._told.clear()
                    _log.info("PostgreSQL gives connections again", extra={"event": "store.connects"})
                yield connection
        except PoolTimeout as error:
            raise UnavailableError(await self._why_none()) from error
        except (psycopg.Error, OSError) as error:
            raise _translated(error) from error

    async def _why_none(self) -> str:
        """Say why the pool had no connection to lend: it keeps the reason to itself, an attempt of our own tells it."""
        try:
            await close(await connect_async(self._url, application=self._application))
        except UnavailableError as error:
            if str(error) not in self._told:
                self._told.add(str(error))
                _log.error("PostgreSQL gives no connection: %s", error, extra={"event": "store.no_connection"})
            return str(error)
        return f"every connection of this process was busy for {CONNECT_SECONDS} s"


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
    connection = await connect_async(url, application=application, autocommit=autocommit)
    try:
        async with translated(), connection:
            yield connection
    finally:
        await close(connection)  # psycopg leaves it open where its rollback is cancelled


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


def _for_the_web(statement_timeout: float) -> str:
    """Return the settings of a pool.

    To start workers for a statement of a page takes longer than the statement. A plan made once for all values locks
    every partition of a year, one made for the values at hand only those of the range asked for.
    """
    options: str = _parameters(statement_timeout, "")["options"]
    return f"{options} -c max_parallel_workers_per_gather=0 -c plan_cache_mode=force_custom_plan"


def _translated(error: Exception) -> StoreError:
    # A value that is too large for an index is called a limit of the program, not an error of the data.
    refused = isinstance(error, psycopg.DataError | psycopg.IntegrityError | psycopg.errors.ProgramLimitExceeded)
    if isinstance(error, psycopg.Error) and refused and error.sqlstate != _NO_PARTITION:
        return UnstorableError(str(error).strip())
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return LockedError(str(error).strip())
    return UnavailableError(told(error))


def told(error: Exception) -> str:
    """Return what is wrong with PostgreSQL, and what helps where that is known."""
    said = str(error).strip() or type(error).__name__
    # A connection that is refused carries no SQLSTATE: a new backend may have to write a file before it serves anybody.
    if (isinstance(error, psycopg.Error) and error.sqlstate == _FULL_DISK) or _NO_SPACE in said:
        return f"the disk of PostgreSQL is full; free some space there ({said})"
    if any(words in said for words in _TAKEN):
        return (
            "PostgreSQL has no connection left; end what holds them (pg_stat_activity names it), or raise "
            f"max_connections ({said})"
        )
    return said
