"""What the gateway knows of its satellites' presence, written to the database every second in one statement."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from google.protobuf.message import Message

from metaconsole.gateway.skew import protocol_values, told
from metaconsole.store import liveness
from metaconsole.store.database import AsyncDatabase, UnavailableError
from shared.pb import uplink_pb2
from shared.protocol import Version

FLUSH_SECONDS: Final = 1.0
SOURCES: Final = 1_000  # of a heartbeat are kept
TEXT: Final = 1_000  # characters of each of its texts
_log = logging.getLogger(__name__)


class Liveness:
    """The newest sight of each satellite that is not written yet."""

    def __init__(self, database: AsyncDatabase) -> None:
        self._database = database
        self._fresh: dict[tuple[int, UUID], liveness.Seen] = {}

    def note(self, seen: liveness.Seen) -> None:
        """Keep a sight until the next write; the newer session wins."""
        key = (seen.site_id, seen.satellite_id)
        known = self._fresh.get(key)
        if known is None or known.session <= seen.session:
            self._fresh[key] = seen

    async def run(self) -> None:
        """Write what is new until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Write what is new now; while PostgreSQL is away it is kept."""
        if not self._fresh:
            return
        fresh, self._fresh = self._fresh, {}
        try:
            async with self._database.connection() as connection:
                await liveness.record(connection, list(fresh.values()))
        except UnavailableError as error:
            _log.debug("liveness was not written: %s", error)
            self._fresh = fresh | self._fresh


def heartbeat_values(heartbeat: uplink_pb2.Heartbeat, protocol: Version) -> Mapping[str, Any]:
    """Return a heartbeat as JSON values under the names of its fields, bounded; what its sender can't tell is left out.

    The sender's protocol is among them.
    """
    of_it, of_sources = (told(message, protocol[1]) for message in (uplink_pb2.Heartbeat, uplink_pb2.SourceStatus))
    values = _values(heartbeat, [name for name in of_it if name != "sources"])
    sources = [_values(source, of_sources) for source in heartbeat.sources[:SOURCES]]
    return {**values, **protocol_values(protocol), "sources": sources}


def _values(message: Message, names: Sequence[str]) -> dict[str, Any]:
    return {name: _value(getattr(message, name)) for name in names}


def _value(value: str | float) -> str | float | None:
    if isinstance(value, str):
        return value[:TEXT].replace("\0", " ")
    # JSON has no NaN and no infinities.
    return value if abs(value) <= 1e300 else None
