"""Sessions and epochs: who may send, what was taken of what is offered, and which numbers may not be used again.

The one promise: when `register` has returned, no older session of the satellite stores anything any more.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg.types.multirange import Int8Multirange
from psycopg.types.range import Int8Range

from metaconsole.store.database import AsyncConnection, StoreError, transaction
from metaconsole.store.sql import statements

RANGES_ALARM: Final = 1_000
A_DAY: Final = 20_000  # epochs that a satellite may begin in a day; what it did not begin is kept for one
SUPERSEDED: Final = 8  # processes that are remembered as fenced by the present one
# How long after its greeting, or after what was heard of it last, a process counts as served.
GREETED_SECONDS: Final = 5.0
SEEN_SECONDS: Final = 15.0
COPIES: Final = "where that is not this machine, two processes hold one identity: stop the one that is a copy"
_SQL: Final = statements("epochs")
_log = logging.getLogger(__name__)


class UnregisteredError(StoreError):
    """The satellite is unknown here, was revoked, or its identity was taken back; the sentence says which."""


class OldCounterError(StoreError):
    """Another process holds this identity, and has gone further or is served; the sentence names both."""


class TooManyEpochsError(StoreError):
    """The satellite begins epochs faster than it may; the sentence says when it may go on."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """Who opens a session: what Hello says of the process, and what its certificate is."""

    nonce: bytes = b""
    counter: int = 0
    peer: str = ""
    version: str = ""
    generation: int = 0
    trust: bytes = b""
    authority: str = ""
    until: datetime | None = None

    def __str__(self) -> str:
        return f"counter {self.counter} of process {self.nonce.hex()[:8]}, version {self.version}, from {self.peer}"


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
    ranges: int = 0  # that were taken, of the offer or not


@dataclass(frozen=True, slots=True)
class Registration:
    """A new session: its number fences every lower one."""

    session: int
    site: str
    satellite: str
    incarnation: UUID
    epochs: Sequence[EpochState]


async def register(
    connection: AsyncConnection,
    site_id: int,
    satellite_id: UUID,
    run: UUID,
    offers: Sequence[Offer],
    greeting: Greeting = Greeting(),
) -> Registration:
    """Open a session for the run whose epoch is given; raises an error of this module, or UnavailableError."""
    who: dict[str, Any] = {"site_id": site_id, "satellite_id": satellite_id}
    try:
        return await _register(connection, who, run, offers, greeting)
    except OldCounterError:
        async with transaction(connection):
            await connection.execute(_SQL["note_rival"], {**who, **asdict(greeting)})
        raise
    except TooManyEpochsError:
        async with transaction(connection):
            await connection.execute(_SQL["note_too_many"], who)
        raise


async def _register(
    connection: AsyncConnection, who: dict[str, Any], run: UUID, offers: Sequence[Offer], greeting: Greeting
) -> Registration:
    offered = {**who, "epochs": [offer.epoch for offer in offers]}
    async with transaction(connection):
        satellite, site = await _admit(connection, who, greeting)
        values = {**who, **asdict(greeting), "kept": SUPERSEDED}
        opened = await (await connection.execute(_SQL["open_session"], values)).fetchone()
        assert opened is not None
        session, incarnation = opened
        await connection.execute(_SQL["forget_maps"], offered)
        await connection.execute(_SQL["forget_left_out"], who)
        created = (await connection.execute(_SQL["create_epochs"], offered)).rowcount
        await _spend(connection, who, created, f"satellite {satellite} of site {site}")
        rows = await (await connection.execute(_SQL["find_epochs"], offered)).fetchall()
    known = {epoch: found for epoch, *found in rows}
    states = [_state(offer, *known[offer.epoch], current=offer.epoch == run) for offer in offers]
    for _, taken in known.values():
        if len(taken) > RANGES_ALARM:
            _log.error(
                "what was taken of satellite %s of %s has %s holes; it should have few", satellite, site, len(taken)
            )
    return Registration(session, site, satellite, incarnation, states)


async def _admit(connection: AsyncConnection, who: dict[str, Any], greeting: Greeting) -> tuple[str, str]:
    """Lock the satellite's row and return its name and its site's; raises UnregisteredError or OldCounterError."""
    row = await (await connection.execute(_SQL["lock_satellite"], {**who, "nonce": greeting.nonce})).fetchone()
    if row is None:
        raise UnregisteredError(
            f"satellite {who['satellite_id']} of site {who['site_id']} is not known here: join again with a new token"
        )
    satellite, site, revoked_at, joined_at, generation, counter, nonce, at, peer, version, superseded = row
    if revoked_at is not None:
        raise UnregisteredError(revoked_sentence(satellite, site, revoked_at))
    if greeting.generation < generation:
        raise UnregisteredError(
            f"the identity of satellite {satellite} of site {site} was taken back on {joined_at:%Y-%m-%d %H:%M} UTC: "
            "this certificate is of before; stop this copy, or join again with a new token"
        )
    if at is None:
        return satellite, site
    other = Greeting(nonce, int(counter), peer, version)
    sentence = f"another process holds the identity of satellite {satellite} of site {site} and"
    both = f"it has {other} on {at:%Y-%m-%d %H:%M:%S} UTC, this one {greeting}"
    if greeting.counter <= counter and greeting.nonce != nonce:
        raise OldCounterError(
            f"{sentence} has gone further: {both}; stop the one that is a copy, or, if this machine lost its state and "
            "its clock went back, join again with a new token"
        )
    if superseded and await _is_served(connection, who):
        raise OldCounterError(
            f"{sentence} is served: {both}; this one waits until the other ends; stop the one that is a copy, or give "
            f"it an identity of its own: nephoscope satellite token {site}, and join in an empty folder"
        )
    return satellite, site


async def _spend(connection: AsyncConnection, who: dict[str, Any], created: int, name: str) -> None:
    """Count epochs that begin; raises TooManyEpochsError."""
    if not created:
        return
    values = {**who, "created": created, "a_day": A_DAY}
    row = await (await connection.execute(_SQL["spend_epochs"], values)).fetchone()
    if row is not None and row[0] < 0:
        minutes = int(-row[0] * 1440 / A_DAY) + 1
        raise TooManyEpochsError(
            f"{name} begins {created} epochs at once and has begun {A_DAY} within a day: each start of its process is "
            f"one; see in its log why it starts over and over; it is let in again in {minutes} min"
        )


async def _is_served(connection: AsyncConnection, who: dict[str, Any]) -> bool:
    """Return whether the process that greeted last is still there."""
    seconds = {"greeted": GREETED_SECONDS, "seen": SEEN_SECONDS}
    row = await (await connection.execute(_SQL["is_served"], {**who, **seconds})).fetchone()
    return row is not None and bool(row[0])


def revoked_sentence(satellite: str, site: str, revoked_at: datetime) -> str:
    """Return why nothing is taken from a satellite any more, and what lets it in again."""
    return (
        f"satellite {satellite} of site {site} was revoked on {revoked_at:%Y-%m-%d %H:%M} UTC; to let it in "
        f"again, join with a token of nephoscope satellite token {site} --satellite {satellite}"
    )


async def find_revoked(connection: AsyncConnection) -> dict[tuple[int, UUID], datetime]:
    """Return all satellites whose right to send was revoked, and when; raises UnavailableError."""
    async with transaction(connection):
        rows = await (await connection.execute(_SQL["find_revoked"])).fetchall()
    return {(site_id, satellite_id): revoked_at for site_id, satellite_id, revoked_at in rows}


async def newest_session(connection: AsyncConnection, site_id: int, satellite_id: UUID) -> str:
    """Return in words which session of a satellite is the newest; raises UnavailableError."""
    who = {"site_id": site_id, "satellite_id": satellite_id}
    async with transaction(connection):
        row = await (await connection.execute(_SQL["newest_session"], who)).fetchone()
    if row is None:
        return "the satellite is not known here any more"
    if row[1] is not None:
        return f"the satellite was revoked on {row[1]:%Y-%m-%d %H:%M} UTC"
    return f"session {row[0]} is the newer one" + (f", from {row[2]}" if row[2] else "") + f"; {COPIES}"


def _state(offer: Offer, through: int, taken: Int8Multirange, *, current: bool) -> EpochState:
    ranges = [(part.lower, part.upper) for part in taken if part.lower is not None and part.upper is not None]
    # A frame that was taken has a number below the next new one's, or numbers are being used twice.
    retired = current and bool(ranges) and offer.next_sequence < ranges[-1][1]
    return EpochState(offer.epoch, through, _common(offer.unsent, ranges), retired, len(ranges))


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
