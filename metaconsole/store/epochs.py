"""Sessions and epochs: who may send, what was taken of what is offered, and which numbers may not be used again.

The one promise: when `register` has returned, no older session of the satellite stores anything any more.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from psycopg.types.multirange import Int8Multirange
from psycopg.types.range import Int8Range

from metaconsole.store.database import AsyncConnection, StoreError, transaction
from metaconsole.store.sql import statements

RANGES_ALARM: Final = 1_000
_SQL: Final = statements("epochs")
_log = logging.getLogger(__name__)


class UnregisteredError(StoreError):
    """The satellite is unknown here, or its right to send was revoked."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An epoch with unsent frames, as a Hello lists it; ranges are first and last, both included."""

    epoch: UUID
    unsent: Sequence[tuple[int, int]]
    next_sequence: int


@dataclass(frozen=True, slots=True)
class EpochState:
    """What is known of an offered epoch: definitions, and what was taken of the offer."""

    epoch: UUID
    series_through: int
    taken: Sequence[tuple[int, int]]
    retired: bool


@dataclass(frozen=True, slots=True)
class Registration:
    """A new session: its number fences every lower one."""

    session: int
    site: str
    satellite: str
    incarnation: UUID
    epochs: Sequence[EpochState]


async def register(
    connection: AsyncConnection, site_id: int, satellite_id: UUID, run: UUID, offers: Sequence[Offer]
) -> Registration:
    """Open a session for the run whose epoch is given; raises UnregisteredError or UnavailableError."""
    who: dict[str, Any] = {"site_id": site_id, "satellite_id": satellite_id}
    offered = {**who, "epochs": [offer.epoch for offer in offers]}
    async with transaction(connection):
        opened = await (await connection.execute(_SQL["open_session"], who)).fetchone()
        if opened is None:
            raise UnregisteredError(f"satellite {satellite_id} of site {site_id} is not known here, or was revoked")
        session, satellite, site, incarnation = opened
        await connection.execute(_SQL["forget_drained"], offered)
        await connection.execute(_SQL["create_epochs"], offered)
        rows = await (await connection.execute(_SQL["find_epochs"], offered)).fetchall()
    known = {epoch: (through, taken) for epoch, through, taken in rows}
    states = [_state(offer, *known[offer.epoch], current=offer.epoch == run) for offer in offers]
    for _, taken in known.values():
        if len(taken) > RANGES_ALARM:
            _log.error(
                "what was taken of satellite %s of %s has %s holes; it should have few", satellite, site, len(taken)
            )
    return Registration(session, site, satellite, incarnation, states)


async def newest_session(connection: AsyncConnection, site_id: int, satellite_id: UUID) -> str:
    """Return in words which session of a satellite is the newest; raises UnavailableError."""
    who = {"site_id": site_id, "satellite_id": satellite_id}
    async with transaction(connection):
        row = await (await connection.execute(_SQL["newest_session"], who)).fetchone()
    if row is None or row[1]:
        return "the satellite is not known here any more, or was revoked"
    return f"session {row[0]} is the newer one" + (f", from {row[2]}" if row[2] else "")


def _state(offer: Offer, through: int, taken: Int8Multirange, *, current: bool) -> EpochState:
    ranges = [(part.lower, part.upper) for part in taken if part.lower is not None and part.upper is not None]
    # A frame that was taken has a number below the next new one's, or numbers are being used twice.
    retired = current and bool(ranges) and offer.next_sequence < ranges[-1][1]
    return EpochState(offer.epoch, through, _common(offer.unsent, ranges), retired)


def _common(offered: Sequence[tuple[int, int]], taken: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Intersect two ascending lists; offered includes its ends, taken excludes its upper ones, the result includes."""
    common, at = [], 0
    for first, last in offered:
        while at < len(taken) and taken[at][1] <= first:
            at += 1
        look = at
        while look < len(taken) and taken[look][0] <= last:
            common.append((max(first, taken[look][0]), min(last, taken[look][1] - 1)))
            look += 1
    return common


def span(first: int, last: int) -> Int8Range:
    """Return the range of sequences first to last, both included."""
    return Int8Range(first, last + 1)
