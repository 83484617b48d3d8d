"""The service Uplink: who may open a session, and which one of two ends.

The one promise: a satellite is who its certificate says, and only its newest session here is served.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final
from uuid import UUID

import grpc
import grpc.aio

from metaconsole.gateway import session as sessions
from metaconsole.gateway.check import ProtocolError
from metaconsole.gateway.inflating import OversizeError
from metaconsole.gateway.peers import leaf_of
from metaconsole.gateway.services import Services
from metaconsole.gateway.stream import Context, SessionEnd
from metaconsole.store.database import UnavailableError, UnstorableError
from metaconsole.store.epochs import COPIES, OldCounterError, TooManyEpochsError, UnregisteredError, find_revoked
from metaconsole.store.quota import have_room
from metaconsole.store.series import OutOfOrderError
from shared.pb import uplink_pb2, uplink_pb2_grpc
from shared.tls import SatelliteIdentity

WATCH_SECONDS: Final = 1.0
OPEN: Final = 8  # sessions of one satellite at a time, fenced ones and those that have not greeted among them
_CROWDED: Final = f"this satellite has {OPEN} sessions open here; it needs one: end the others, or wait 10 s for them"
ROOM_SECONDS: Final = 5.0  # to look whether sites have room again, and to connect again for it
TRUST_SECONDS: Final = 30.0  # over which all connect again when the authority changes
_STATUS: Final = {
    ProtocolError: grpc.StatusCode.INVALID_ARGUMENT,
    OversizeError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    OldCounterError: grpc.StatusCode.ABORTED,
    UnregisteredError: grpc.StatusCode.PERMISSION_DENIED,
    TooManyEpochsError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    OutOfOrderError: grpc.StatusCode.ABORTED,
    UnstorableError: grpc.StatusCode.INVALID_ARGUMENT,
    UnavailableError: grpc.StatusCode.UNAVAILABLE,
}
_log = logging.getLogger(__name__)


class Uplink(uplink_pb2_grpc.UplinkServicer):
    """All sessions of this gateway."""

    def __init__(self, services: Services) -> None:
        self._services = services
        services.budgets.changed = self._wake_site
        self._sessions: dict[tuple[int, UUID], sessions.Session] = {}
        self._open = Counter[SatelliteIdentity]()
        self.ended = 0  # sessions, since the start

    async def Session(  # noqa: N802  # the contract's name
        self, request_iterator: AsyncIterator[uplink_pb2.SatelliteMessage], context: Context
    ) -> None:
        """Serve one stream to its end."""
        try:
            leaf = leaf_of(context)
        except ValueError as error:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
        identity = leaf.identity
        if self._open[identity] >= OPEN:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, _CROWDED)
        self._open[identity] += 1
        session = sessions.Session(self._services, leaf, request_iterator, context)
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
            self.ended += 1
            self._open[identity] -= 1
            if not self._open[identity]:
                del self._open[identity]
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

    async def watch_revoked(self) -> None:
        """End the sessions of satellites that were revoked, until cancelled; one statement for all of them."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if not self._sessions:
                continue
            try:
                async with self._services.database.connection() as connection:
                    revoked = await find_revoked(connection)
            except UnavailableError as error:
                _log.debug("who was revoked is not known at this moment: %s", error)
                continue
            for key in revoked.keys() & self._sessions.keys():
                self._sessions[key].revoked(revoked[key])

    async def watch_room(self) -> None:
        """Let satellites that lack series or resources connect again, and tell them, once there is room.

        A new session defines refused series, and begins with the whole inventory. Until cancelled.
        """
        while True:
            await asyncio.sleep(ROOM_SECONDS)
            if not self._sessions:
                continue
            try:
                async with self._services.database.connection() as connection:
                    lacking = await have_room(connection)
            except UnavailableError as error:
                _log.debug("which satellites lack what there is room for is not known at this moment: %s", error)
                continue
            for key in lacking & self._sessions.keys():
                self._sessions[key].tell_again(random.uniform(0, ROOM_SECONDS))  # noqa: S311

    async def watch_trust(self) -> None:
        """Let all satellites connect again, one after the other, when the authorities change, until cancelled."""
        before = self._services.certificates.now().trust_sha256
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            trust = self._services.certificates.now().trust_sha256
            if trust != before:
                before = trust
                for session in list(self._sessions.values()):
                    session.drain("the certificate authority changes", random.uniform(0, TRUST_SECONDS))  # noqa: S311

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
            other.end(SessionEnd(grpc.StatusCode.ABORTED, f"{other} is fenced by the newer {session}; {COPIES}"))
        self._sessions[key] = session
        _log.info("%s began", session, extra={"event": "session.began"})

    def _leave(self, identity: SatelliteIdentity, session: sessions.Session) -> None:
        session.close()
        key = (identity.site_id, identity.satellite_id)
        if self._sessions.get(key) is session:
            del self._sessions[key]
            _log.info("%s is over", session, extra={"event": "session.over"})
