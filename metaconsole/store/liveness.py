"""Which satellite was seen when, and what it said of itself: written by gateways, never through the log."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from metaconsole.store.database import AsyncConnection, transaction
from metaconsole.store.sql import statements

_SQL: Final = statements("liveness")


@dataclass(frozen=True, slots=True)
class Seen:
    """One satellite as its gateway sees it; connected_at is None once the session has ended."""

    site_id: int
    satellite_id: UUID
    session: int
    seen_at: datetime
    connected_at: datetime | None
    peer: str
    version: str
    epoch: UUID
    clock_offset_ms: int = 0
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


async def record(connection: AsyncConnection, seen: Sequence[Seen]) -> None:
    """Write what was seen, unless a newer session of the satellite has begun meanwhile; raises UnavailableError."""
    ordered = sorted(seen, key=lambda one: (one.site_id, one.satellite_id))
    parameters = {
        name: [getattr(one, name) for one in ordered]
        for name in ("site_id", "satellite_id", "session", "seen_at", "connected_at", "peer", "version", "epoch")
    }
    parameters["clock_offset_ms"] = [one.clock_offset_ms for one in ordered]
    parameters["heartbeat"] = [json.dumps(one.heartbeat) for one in ordered]
    async with transaction(connection):
        await connection.execute(_SQL["record"], parameters)
