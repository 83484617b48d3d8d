"""Which satellite was seen when, and what it said of itself: written by gateways, never through the log.

The one promise: each change of how a clock is judged is one event, whichever gateway sees it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from metaconsole.store.database import AsyncConnection, Row, transaction
from metaconsole.store.sql import statements

WARNING_MS: Final = 2_000  # a satellite's clock that is off by more
CRITICAL_MS: Final = 60_000
ONE_WAY_MS: Final = 5_000  # what a message may be under way where only one way was measured
CLOCK_EVENTS: Final = 1_000  # kept per satellite
_SQL: Final = statements("liveness")
_COLUMNS: Final = (
    "site_id", "satellite_id", "session", "seen_at", "connected_at", "peer", "version", "epoch", "clock_offset_ms",
    "clock_uncertainty_ms",
)  # fmt: skip


_EVENT: Final = ("site_id", "satellite_id", "at", "state", "before", "offset_ms", "uncertainty_ms")


@dataclass(frozen=True, slots=True)
class Seen:
    """One satellite as its gateway sees it; connected_at is None once the session has ended.

    clock_offset_ms is its clock minus ours; the uncertainty is None where only one way was measured.
    """

    site_id: int
    satellite_id: UUID
    session: int
    seen_at: datetime
    connected_at: datetime | None
    peer: str
    version: str
    epoch: UUID
    clock_offset_ms: int = 0
    clock_uncertainty_ms: int | None = None
    heartbeat: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """A satellite that was here and whose version can't work; heartbeat is what is known all the same."""

    site_id: int
    satellite_id: UUID
    generation: int
    peer: str
    version: str
    heartbeat: Mapping[str, Any]


async def refuse(connection: AsyncConnection, refused: Refused) -> None:
    """Note who was refused for its version, until it is welcomed again; raises UnavailableError."""
    async with transaction(connection):
        await connection.execute(_SQL["refuse"], asdict(refused) | {"heartbeat": json.dumps(refused.heartbeat)})


@dataclass(frozen=True, slots=True)
class ClockChange:
    """How a satellite's clock is judged from now on: ok, warning or critical, and by what."""

    site_id: int
    site: str
    satellite_id: UUID
    satellite: str
    at: datetime
    state: str
    before: str
    offset_ms: int
    uncertainty_ms: int | None


def judge(before: str, offset_ms: int, uncertainty_ms: int | None) -> str:
    """Return ok, warning or critical for a clock that was judged so before.

    It gets worse where the offset is beyond a threshold for certain, and better where it is for certain within half of
    it: what is measured worse, after a reconnect, changes nothing.
    """
    least = abs(offset_ms) - (ONE_WAY_MS if uncertainty_ms is None else uncertainty_ms)
    most = abs(offset_ms) + (uncertainty_ms or 0)
    if least > CRITICAL_MS or (before == "critical" and most > CRITICAL_MS / 2):
        return "critical"
    if least > WARNING_MS or (before != "ok" and most > WARNING_MS / 2):
        return "warning"
    return "ok"


async def record(connection: AsyncConnection, seen: Sequence[Seen]) -> list[ClockChange]:
    """Write what was seen, unless a newer session of the satellite has begun meanwhile; raises UnavailableError.

    Returns whose clock is judged otherwise than before.
    """
    ordered = sorted(seen, key=lambda one: (one.site_id, one.satellite_id))
    parameters: dict[str, list[Any]] = {name: [getattr(one, name) for one in ordered] for name in _COLUMNS}
    parameters["heartbeat"] = [json.dumps(one.heartbeat) for one in ordered]
    async with transaction(connection):
        rows = await (await connection.execute(_SQL["known"], parameters)).fetchall()
        known = {(row[0], row[2]): row for row in rows}
        changes: list[ClockChange] = []
        parameters["clock_state"], parameters["clock_since"] = [], []
        for one in ordered:
            state, since = _judged(one, known.get((one.site_id, one.satellite_id)), changes)
            parameters["clock_state"].append(state)
            parameters["clock_since"].append(since)
        await connection.execute(_SQL["record"], parameters)
        if changes:
            told = {name: [getattr(change, name) for change in changes] for name in _EVENT}
            await connection.execute(_SQL["insert_clock_events"], told)
            await connection.execute(_SQL["bound_clock_events"], told | {"limit": CLOCK_EVENTS})
    return changes


def _judged(one: Seen, known: Row | None, changes: list[ClockChange]) -> tuple[str, datetime | None]:
    """Return how a clock is judged and since when; where that changes, it is added to the changes."""
    if known is None:
        return "ok", None  # of an older session: nothing is written
    site_id, site, satellite_id, satellite, before, since = known
    state = judge(before, one.clock_offset_ms, one.clock_uncertainty_ms)
    if state == before:
        return state, since
    figures = (one.clock_offset_ms, one.clock_uncertainty_ms)
    changes.append(ClockChange(site_id, site, satellite_id, satellite, one.seen_at, state, before, *figures))
    return state, one.seen_at
