"""The presence of a session's satellite: when it was seen, what it says of itself, how far its clock is off.

The one promise: the end of a session is noted as its beginning was.
"""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from metaconsole.gateway.liveness import Liveness, heartbeat_values
from metaconsole.gateway.refused import plain
from metaconsole.gateway.satellite_clock import SatelliteClock
from metaconsole.store.liveness import Seen
from shared.pb import uplink_pb2
from shared.protocol import PROTOCOL
from shared.tls import SatelliteIdentity


class Presence:
    """What one session tells to the gateway's liveness."""

    def __init__(self, liveness: Liveness) -> None:
        self.clock = SatelliteClock()
        self._liveness = liveness
        self._protocol = PROTOCOL  # the satellite's, once it has greeted
        self._seen: Seen | None = None

    def greeted(self, identity: SatelliteIdentity, hello: uplink_pb2.Hello, run: UUID, session: int, peer: str) -> None:
        """Note that the session began."""
        now = datetime.now(UTC)
        self.clock.greeted(hello.now_ms)
        self._protocol = (hello.protocol_major, hello.protocol_minor)
        seen = Seen(
            site_id=identity.site_id,
            satellite_id=identity.satellite_id,
            session=session,
            seen_at=now,
            connected_at=now,
            peer=peer[:200],
            version=plain(hello.version, 100),
            epoch=run,
        )
        self._note(seen)

    def beat(self, heartbeat: uplink_pb2.Heartbeat) -> None:
        """Note a heartbeat."""
        assert self._seen is not None
        self.clock.beat(heartbeat)
        values = heartbeat_values(heartbeat, self._protocol)
        self._note(replace(self._seen, seen_at=datetime.now(UTC), heartbeat=values))

    def gone(self) -> None:
        """Note that the session is over, if it had begun."""
        if self._seen is not None:
            self._note(replace(self._seen, connected_at=None))

    def _note(self, seen: Seen) -> None:
        clock = self.clock.now()
        seen = self._seen = replace(seen, clock_offset_ms=clock.offset_ms, clock_uncertainty_ms=clock.uncertainty_ms)
        self._liveness.note(seen)
