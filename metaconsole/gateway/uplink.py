"""The service Uplink: who may open a session, and which one of two ends.

The one promise: a satellite is who its certificate says, and only its newest session here is served.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Final
from uuid import UUID

import grpc
import grpc.aio

from metaconsole.gateway import session as sessions
from metaconsole.gateway.check import ProtocolError
from metaconsole.gateway.session import Context, Services, SessionEnd
from metaconsole.store.database import UnavailableError
from metaconsole.store.epochs import UnregisteredError
from metaconsole.store.series import OutOfOrderError
from shared.pb import uplink_pb2, uplink_pb2_grpc
from shared.tls import SatelliteIdentity, parse_identity

WATCH_SECONDS: Final = 1.0
_STATUS: Final = {
    ProtocolError: grpc.StatusCode.INVALID_ARGUMENT,
    UnregisteredError: grpc.StatusCode.PERMISSION_DENIED,
    OutOfOrderError: grpc.StatusCode.ABORTED,
    UnavailableError: grpc.StatusCode.UNAVAILABLE,
}
_log = logging.getLogger(__name__)


class Uplink(uplink_pb2_grpc.UplinkServicer):
    """All sessions of this gateway."""

    def __init__(self, services: Services) -> None:
        self._services = services
        services.budgets.changed = self._wake_site
        self._sessions: dict[tuple[int, UUID], sessions.Session] = {}

    async def Session(  # noqa: N802  # the contract's name
        self, request_iterator: AsyncIterator[uplink_pb2.SatelliteMessage], context: Context
    ) -> None:
        """Serve one stream to its end."""
        try:
            identity = identity_of(context)
        except ValueError as error:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
        session = sessions.Session(self._services, identity, request_iterator, context)
        try:
            await session.open()
            self._enter(identity, session)
            await session.run()
        except SessionEnd as end:
            _log.warning("%s ends: %s", session, end.sentence, extra={"event": "session.ended"})
            await context.abort(end.code, end.sentence)
        except tuple(_STATUS) as error:
            _log.warning("%s ends: %s", session, error, extra={"event": "session.refused"})
            await context.abort(_STATUS[type(error)], str(error)[:1000])
        finally:
            self._leave(identity, session)

    def end_all(self, sentence: str) -> None:
        """End every session; the satellites connect again elsewhere, or later."""
        for session in list(self._sessions.values()):
            session.end(SessionEnd(grpc.StatusCode.UNAVAILABLE, sentence))

    async def watch(self) -> None:
        """End the sessions whose satellites are silent or take nothing, until cancelled."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            now = time.monotonic()
            for session in list(self._sessions.values()):
                if (why := session.overdue(now)) is not None:
                    session.end(why)

    def _wake_site(self, site_id: int) -> None:
        for (site, _), session in self._sessions.items():
            if site == site_id:
                session.wake()

    def _enter(self, identity: SatelliteIdentity, session: sessions.Session) -> None:
        key = (identity.site_id, identity.satellite_id)
        other = self._sessions.get(key)
        if other is not None and other.number > session.number:
            raise SessionEnd(grpc.StatusCode.ABORTED, f"{session} is fenced by the newer {other}")
        if other is not None:
            other.end(SessionEnd(grpc.StatusCode.ABORTED, f"{other} is fenced by the newer {session}"))
        self._sessions[key] = session
        _log.info("%s began", session, extra={"event": "session.began"})

    def _leave(self, identity: SatelliteIdentity, session: sessions.Session) -> None:
        session.close()
        key = (identity.site_id, identity.satellite_id)
        if self._sessions.get(key) is session:
            del self._sessions[key]
            _log.info("%s is over", session, extra={"event": "session.over"})


def identity_of(context: Context) -> SatelliteIdentity:
    """Return the identity in the peer's certificate, the only one that counts; raises ValueError."""
    names = list(context.auth_context().get("peer_spiffe_id", []))
    if len(names) != 1:
        raise ValueError("the client certificate names no satellite: it needs one URI as subject alternative name")
    return parse_identity(names[0].decode("utf-8", "replace"))
