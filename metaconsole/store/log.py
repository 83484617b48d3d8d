"""The log: append the frames of many satellites in one transaction, each frame once, for ever.

The one promise: a frame is in the log, counted as taken and has its ordinal, or none of the three; what `append`
calls STORED or REPLAYED survives whatever happens after it returned.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

from metaconsole.store.database import AsyncConnection, Row, transaction
from metaconsole.store.frames import QUARANTINE_BYTES, CheckedFrame, Outcome
from metaconsole.store.sql import statements
from shared.failpoints import failpoint

QUARANTINE_ROWS: Final = 100  # per satellite
_SQL: Final = statements("log")
_PLACE_TYPES: Final = ("int8", "uuid", "int8", "timestamptz", "uuid", "int8", "int2")
_ROW_TYPES: Final = (
    "int2", "int8", "text", "int8", "int8", "int8", "int8", "int8[]", "int8[]", "bytea", "bytea", "int8",
)  # fmt: skip
_END_TYPES: Final = ("int8", "text", "int8")
_Satellite: TypeAlias = tuple[int, UUID]


async def append(connection: AsyncConnection, frames: Sequence[CheckedFrame]) -> list[Outcome]:
    """Store the frames and return what became of each, in order, after COMMIT; raises Unavailable-, UnstorableError."""
    async with transaction(connection):
        satellites, taken = await _lock(connection, frames)
        sessions = {(site_id, satellite_id, session) for site_id, satellite_id, _, session in satellites}
        heads = {(site_id, satellite_id): head for site_id, satellite_id, head, _ in satellites}
        received_at = taken[0][1]
        outcomes = _decide(frames, sessions, [row[0] for row in taken])
        new = [frame for frame, outcome in zip(frames, outcomes, strict=True) if outcome is Outcome.STORED]
        if new:
            await _store(connection, new, heads, received_at)
        failpoint("store.commit.before")
    failpoint("store.commit.after")
    return outcomes


async def _lock(connection: AsyncConnection, frames: Sequence[CheckedFrame]) -> tuple[list[Row], list[Row]]:
    """Lock the satellites' rows in order, then look which frames were taken; return the rows of both.

    All is sent at once. A statement a site: the rows of a sharded table are locked by equality on site_id only.
    """
    wanted: dict[int, set[UUID]] = {}
    for frame in frames:
        wanted.setdefault(frame.sender.site_id, set()).add(frame.sender.satellite_id)
    async with connection.pipeline():
        locks = [
            await connection.execute(_SQL["lock_satellites"], {"site_id": site_id, "satellites": sorted(satellites)})
            for site_id, satellites in sorted(wanted.items())
        ]
        taken = await connection.execute(_SQL["find_taken"], _ranges(frames))
        return [row for lock in locks for row in await lock.fetchall()], await taken.fetchall()


def _decide(
    frames: Sequence[CheckedFrame], sessions: AbstractSet[tuple[int, UUID, int]], taken: Sequence[bool]
) -> list[Outcome]:
    """Return what becomes of each frame; a session that is not among the newest ones is fenced."""
    outcomes: list[Outcome] = []
    seen: set[tuple[int, UUID, UUID, int, int]] = set()
    for frame, is_taken in zip(frames, taken, strict=True):
        sender = frame.sender
        # The same frame twice in one group: a new session sends again what the old one still had under way.
        number = (sender.site_id, sender.satellite_id, frame.epoch, frame.first, frame.last)
        if (sender.site_id, sender.satellite_id, sender.session) not in sessions:
            outcomes.append(Outcome.FENCED)
        elif is_taken or number in seen:
            outcomes.append(Outcome.REPLAYED)
        else:
            seen.add(number)
            outcomes.append(Outcome.STORED)
    return outcomes


async def _store(
    connection: AsyncConnection, frames: Sequence[CheckedFrame], heads: dict[_Satellite, int], received_at: datetime
) -> None:
    rows = []
    for frame in frames:
        satellite = (frame.sender.site_id, frame.sender.satellite_id)
        heads[satellite] += 1
        rows.append(_row(frame, heads[satellite], received_at))
    touched = sorted({(frame.sender.site_id, frame.sender.satellite_id) for frame in frames})
    new_heads = {
        "head_sites": [site_id for site_id, _ in touched],
        "head_satellites": [satellite_id for _, satellite_id in touched],
        "heads": [heads[satellite] for satellite in touched],
    }
    await connection.execute(_SQL["settle"], {**_ranges(frames), **new_heads})
    async with connection.cursor().copy(_SQL["copy"]) as copy:
        copy.set_types((*_PLACE_TYPES, *_ROW_TYPES, *_END_TYPES))
        for row in rows:
            await copy.write_row(row)
    if refused := [frame for frame in frames if frame.refusal is not None]:
        await _quarantine(connection, refused)


def _row(frame: CheckedFrame, ordinal: int, received_at: datetime) -> tuple[Any, ...]:
    sender, row = frame.sender, frame.row
    place = (sender.site_id, sender.satellite_id, ordinal, received_at, frame.epoch, frame.first, frame.lane)
    what = (int(row.kind), row.source_id, row.plan, row.interval_ms, row.first_ms, row.last_ms, row.samples)
    end = (frame.last if frame.last > frame.first else None, frame.lost or None, row.refused or None)
    return (*place, *what, list(row.metrics), list(row.offsets), row.times, row.payload, frame.clock_offset_ms, *end)


async def _quarantine(connection: AsyncConnection, frames: Sequence[CheckedFrame]) -> None:
    """Keep the newest refused frames of each satellite, and no more than the limit."""
    refusals = [frame.refusal for frame in frames if frame.refusal is not None]
    parameters = {
        **_ranges(frames),
        "reasons": [refusal.reason for refusal in refusals],
        "details": [refusal.detail for refusal in refusals],
        "contents": [refusal.content[:QUARANTINE_BYTES] for refusal in refusals],
        "limit": QUARANTINE_ROWS,
    }
    await connection.execute(_SQL["quarantine"], parameters)
    await connection.execute(_SQL["bound_quarantine"], parameters)


def _ranges(frames: Sequence[CheckedFrame]) -> dict[str, list[Any]]:
    return {
        "sites": [frame.sender.site_id for frame in frames],
        "satellites": [frame.sender.satellite_id for frame in frames],
        "epochs": [frame.epoch for frame in frames],
        "firsts": [frame.first for frame in frames],
        "lasts": [frame.last for frame in frames],
    }


async def notify(connection: AsyncConnection) -> None:
    """Tell the readers that there is something new; raises UnavailableError."""
    async with transaction(connection):
        await connection.execute(_SQL["notify"])
