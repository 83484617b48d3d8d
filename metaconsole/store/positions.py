"""Where each reader stands in the log of each satellite, and the rows that come next.

The one promise: rows come in the order of their ordinals and without holes, or HoleError says so.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, pairwise
from typing import Any, Final
from uuid import UUID

from metaconsole.store.database import AsyncConnection, StoreError, transaction, translated
from metaconsole.store.frames import LogKind
from metaconsole.store.sql import statements

ROWS: Final = 500  # read at once
BYTES: Final = 16 * 1024 * 1024
_SQL: Final = statements("positions")


class HoleError(StoreError):
    """A row below the satellite's head is not there: the log is damaged."""


@dataclass(frozen=True, slots=True)
class Position:
    """A claimed position that has rows after it."""

    site_id: int
    satellite_id: UUID
    ordinal: int
    received_at: datetime
    head: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the log as a reader sees it; of a kind that it does not want, times and payload are empty."""

    site_id: int
    satellite_id: UUID
    ordinal: int
    received_at: datetime
    kind: LogKind
    interval_ms: int
    offsets: Sequence[int]
    times: bytes
    payload: bytes


async def enter(connection: AsyncConnection, reader: str) -> None:
    """Give the reader a position for each satellite that is new to it; inside a transaction."""
    await connection.execute(_SQL["create_positions"], {"reader": reader})


async def sites_behind(connection: AsyncConnection, reader: str) -> list[int]:
    """Return the sites with rows that the reader has not read, counting new satellites in; raises UnavailableError."""
    async with transaction(connection):
        await enter(connection, reader)
        rows = await (await connection.execute(_SQL["sites_behind"], {"reader": reader})).fetchall()
    return [site_id for (site_id,) in rows]


async def rewind(connection: AsyncConnection, reader: str, seconds: float) -> None:
    """Put every position of the reader before the first row of the last seconds; raises UnavailableError."""
    async with transaction(connection):
        await connection.execute(_SQL["rewind"], {"reader": reader, "seconds": seconds})


async def forgo_durability(connection: AsyncConnection) -> None:
    """Let commits of this connection return before they are on disk: a crash may put its last positions back.

    Never ahead of the log: what a position follows was on disk before it could be read. Raises UnavailableError.
    """
    async with transaction(connection):
        await connection.execute(_SQL["forgo_durability"])


async def claim(connection: AsyncConnection, reader: str, site_id: int) -> list[Position]:
    """Lock the site's positions that have rows after them, but those of another process; inside a transaction."""
    rows = await (await connection.execute(_SQL["claim"], {"reader": reader, "site_id": site_id})).fetchall()
    return [Position(site_id, *row) for row in rows]


async def read_next(connection: AsyncConnection, position: Position, kinds: Collection[LogKind]) -> list[Entry]:
    """Return the rows after a position, bounded in number and bytes; raises HoleError.

    They are looked for around the time of their receipt; what is missing there, everywhere: a clock may have stepped.
    """
    entries = await _read(connection, position, kinds, near=True)
    if not _is_whole(position, entries):
        entries = await _read(connection, position, kinds, near=False)
    for expected, entry in enumerate(entries, position.ordinal + 1):
        if entry.ordinal != expected:
            raise hole(position, expected)
    if not entries:
        raise hole(position, position.ordinal + 1)
    return entries


def _is_whole(position: Position, entries: Sequence[Entry]) -> bool:
    """Tell whether entries are the next rows after a position, without a hole; their ordinals ascend."""
    return bool(entries) and entries[-1].ordinal == position.ordinal + len(entries)


async def _read(
    connection: AsyncConnection, position: Position, kinds: Collection[LogKind], *, near: bool
) -> list[Entry]:
    parameters: dict[str, Any] = {
        "site_id": position.site_id,
        "satellite_id": position.satellite_id,
        "after": position.ordinal,
        "received_at": position.received_at,
        "kinds": [int(kind) for kind in kinds],
        "rows": ROWS,
        "bytes": BYTES,
        "near": near,
    }
    rows = await (await connection.execute(_SQL["read"], parameters)).fetchall()
    sizes = [size for *_, size in rows]
    payloads = b""
    if any(sizes):
        cursor = connection.cursor(binary=True)
        found = await (await cursor.execute(_SQL["payloads"], {**parameters, "last": rows[-1][0]})).fetchall()
        payloads = b"".join(some for (some,) in found)
    if len(payloads) != sum(sizes):
        raise hole(position, rows[0][0])
    entries = []
    for row, (begin, end) in zip(rows, pairwise([0, *accumulate(sizes)]), strict=True):
        ordinal, received_at, kind, interval_ms, offsets, times, _ = row
        payload = payloads[begin:end]
        who = position.site_id, position.satellite_id
        entries.append(Entry(*who, ordinal, received_at, LogKind(kind), interval_ms, offsets, times, payload))
    return entries


async def advance(
    connection: AsyncConnection, reader: str, position: Position, ordinal: int, received_at: datetime
) -> None:
    """Note that the reader is done through the row of an ordinal; inside the transaction of its output."""
    parameters = {
        "reader": reader,
        "site_id": position.site_id,
        "satellite_id": position.satellite_id,
        "ordinal": ordinal,
        "received_at": received_at,
    }
    await connection.execute(_SQL["advance"], parameters)


async def listen(connection: AsyncConnection) -> None:
    """Ask for the gateways' notifications on a connection in autocommit; raises UnavailableError."""
    async with transaction(connection):
        await connection.execute(_SQL["listen"])


async def notify_live(connection: AsyncConnection) -> None:
    """Tell the web that the live view changed; raises UnavailableError."""
    async with transaction(connection):
        await connection.execute(_SQL["notify_live"])


def hole(position: Position, ordinal: int) -> HoleError:
    """Return the error that says which row is missing and what to do."""
    return HoleError(
        f"row {ordinal} of the log of satellite {position.satellite_id} (site {position.site_id}) is missing below its "
        f"head {position.head}: the log is damaged; restore it from a backup, or move the reader's position by hand"
    )


async def wait_for_notification(connection: AsyncConnection) -> None:
    """Return when a gateway has told of something new since `listen`; raises UnavailableError."""
    async with translated():
        async for _ in connection.notifies(stop_after=1):
            return
