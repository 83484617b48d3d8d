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
from shared.clock_time import clock_time
from shared.pb import uplink_pb2
from shared.protocol import Version

FLUSH_SECONDS: Final = 1.0
SOURCES: Final = 1_000  # of a heartbeat are kept
TEXT: Final = 1_000  # characters of each of its texts
PLANS: Final = 100  # of each of its sources
_APART: Final = frozenset({"sources", "boot_id"})
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
                changes = await liveness.record(connection, list(fresh.values()))
        except UnavailableError as error:
            _log.debug("liveness was not written: %s", error)
            self._fresh = fresh | self._fresh
            return
        for change in changes:
            level = logging.INFO if change.state == "ok" else logging.WARNING
            _log.log(level, "%s", clock_sentence(change), extra={"event": f"clock.{change.state}"})


def clock_sentence(change: liveness.ClockChange) -> str:
    """Return the sentence that names both clocks and what to do."""
    who = f"the clock of satellite {change.satellite} of site {change.site}"
    if change.state == "ok":
        return f"{who} agrees with the metaconsole's again"
    way = "ahead of" if change.offset_ms > 0 else "behind"
    known = "one way measured" if change.uncertainty_ms is None else f"± {change.uncertainty_ms / 1000:.3f} s"
    theirs = clock_time(change.at.timestamp() * 1000 + change.offset_ms)
    return (
        f"{who} is {abs(change.offset_ms) / 1000:.3f} s {way} the metaconsole's ({known}, {change.state}): it says "
        f"{theirs} when this machine says {clock_time(change.at.timestamp() * 1000)}. Samples are stored as it stamps "
        "them; set it there (timedatectl set-ntp true), or here where all satellites seem to be off"
    )


def heartbeat_values(heartbeat: uplink_pb2.Heartbeat, protocol: Version) -> Mapping[str, Any]:
    """Return a heartbeat as JSON values under the names of its fields, bounded; what its sender can't tell is left out.

    The sender's protocol is among them.
    """
    of_it, of_sources = (told(message, protocol[1]) for message in (uplink_pb2.Heartbeat, uplink_pb2.SourceStatus))
    values = _values(heartbeat, [name for name in of_it if name not in _APART])
    sources = [_source(source, of_sources) for source in heartbeat.sources[:SOURCES]]
    return {**values, **protocol_values(protocol), "sources": sources}


def _source(source: uplink_pb2.SourceStatus, names: Sequence[str]) -> dict[str, Any]:
    values: dict[str, Any] = _values(source, [name for name in names if name != "plans"])
    if "plans" in names:
        values["plans"] = [_values(plan, list(plan.DESCRIPTOR.fields_by_name)) for plan in source.plans[:PLANS]]
    return values


def _values(message: Message, names: Sequence[str]) -> dict[str, Any]:
    return {name: _value(getattr(message, name)) for name in names}


def _value(value: str | float) -> str | float | None:
    if isinstance(value, str):
        return value[:TEXT].replace("\0", " ")
    # JSON has no NaN and no infinities.
    return value if abs(value) <= 1e300 else None
