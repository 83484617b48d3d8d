"""The uplink: keeps one session with the metaconsole alive, over whichever of its addresses answers.

The one promise: an outage costs nothing but time; it is logged once when it begins and once when it ends.
"""

import asyncio
import json
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc.aio

from satellite.backfill import Backfill
from satellite.channels import ChannelFactory
from satellite.clock import Clock
from satellite.metaconsole_clock import MetaconsoleClock
from satellite.reconciler import Reconciler
from satellite.refusals import Refusals
from satellite.session import Session
from satellite.spool import Spool
from satellite.spool_files import SpoolFiles
from satellite.stream import SessionEndedError
from shared.pb import uplink_pb2

_log = logging.getLogger(__name__)

_QUICK: Final = (0.2, 1.0)  # seconds before the first retry after a session
_LONGEST: Final = 60.0


class SessionState:
    """The session counter and the metaconsole's incarnation, kept on disk before they matter."""

    def __init__(self, path: Path, files: SpoolFiles | None = None) -> None:
        """Read what an earlier run stored; a file that is gone or damaged starts above any number of the past."""
        self._path = path
        self._files = files or SpoolFiles()
        self.counter, self.incarnation = 0, b""
        try:
            stored = json.loads(path.read_bytes())
            self.counter, self.incarnation = int(stored["counter"]), bytes.fromhex(stored["incarnation"])
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError) as error:
            _log.warning("%s can't be read (%s): the session counter goes on from the clock", path, error)

    def next_counter(self) -> int:
        """Return a number above every earlier one of this identity, stored before it is returned. Raises OSError."""
        # Milliseconds, so that a satellite whose state folder was lost is not fenced by its own past.
        self.counter = max(self.counter + 1, time.time_ns() // 1_000_000)
        self._store()
        return self.counter

    def set_incarnation(self, incarnation: bytes) -> None:
        """Store which life of the metaconsole was seen last. Raises OSError."""
        self.incarnation = incarnation
        self._store()

    def _store(self) -> None:
        stored = {"counter": self.counter, "incarnation": self.incarnation.hex()}
        self._files.replace(self._path, json.dumps(stored).encode())


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the rest of the satellite tells the uplink and wants to hear from it."""

    heartbeat: Callable[[], uplink_pb2.Heartbeat]
    connected: Callable[[], None]  # after each Welcome
    trust: Callable[[], bytes] = bytes  # SHA-256 of the authorities that are trusted now
    renew: Callable[[], None] = lambda: None  # the metaconsole wants the certificate renewed
    unusable: Callable[[], str] = str  # why our own certificate can't work, empty when it can


class Uplink:
    """Offers what the spool holds to the metaconsole, for as long as its task runs."""

    def __init__(
        self,
        spool: Spool,
        addresses: Sequence[str],
        channels: ChannelFactory,
        state: SessionState,
        callbacks: Callbacks,
        clock: Clock,
        retry: tuple[float, float] = (1.0, _LONGEST),
    ) -> None:
        """Use addresses in their order; retry is where backoff begins and where it ends, in seconds."""
        self.refusals = Refusals()
        self.backfill = Backfill()
        self.connected_to: str | None = None
        self.since_ms = clock.now_ms()  # of the state: connected, or not
        self.message = "not connected yet"
        self._spool, self._addresses, self._channels, self._state = spool, list(addresses), channels, state
        self._callbacks, self._clock = callbacks, clock
        self._retry = retry
        self._random = random.Random()  # noqa: S311 - jitter is no secret
        self._told_outage = False
        self._session: Session | None = None
        self.metaconsole_clock = MetaconsoleClock(clock)
        self._reconciler = Reconciler(spool, clock)

    def move(self, reason: str) -> None:
        """Go on over a new channel, once what is under way is answered; the certificate is read again for it."""
        if self._session is not None:
            self._session.move(reason)

    async def run(self) -> None:
        """Connect, serve, and connect again, until cancelled."""
        failures, place = 0, 0
        while True:
            welcomed, delay = await self._try(self._addresses[place % len(self._addresses)])
            failures, place = (0, 0) if welcomed and delay is None else (failures + 1, place + 1)
            if delay is not None:
                wait = delay
            elif welcomed or place % len(self._addresses):
                wait = self._random.uniform(*_QUICK) if welcomed else 0.0
            else:
                wait = self._backoff(failures // len(self._addresses))
            await asyncio.sleep(wait)

    def _backoff(self, rounds: int) -> float:
        first, longest = self._retry
        if rounds <= 1:
            return self._random.uniform(min(_QUICK[0], first), min(_QUICK[1], first))
        return self._random.uniform(0, min(first * 2.0 ** min(rounds, 16), longest))

    async def _try(self, address: str) -> tuple[bool, float | None]:
        """Return whether the metaconsole welcomed us, and when it asked to come back (seconds, None: it did not)."""
        session = Session(
            self._spool,
            self._state,
            self._callbacks.heartbeat,
            self._clock,
            self.metaconsole_clock,
            self.backfill,
            self.refusals,
            self._reconciler,
        )
        session.on_welcome = lambda: self._welcomed(address)
        session.on_renew = self._callbacks.renew
        session.trust_sha256 = self._callbacks.trust()
        self._session = session
        delay: float | None = None
        try:
            channel = self._channels(address)
            try:
                await session.run(channel)
            finally:
                await channel.close()
        except SessionEndedError as error:
            delay = error.reconnect_after
            self._lost(address, str(error), quiet=error.expected)
        except grpc.aio.AioRpcError as error:
            self._lost(address, f"{error.code().name}: {error.details()}")
        except OSError as error:
            self._lost(address, str(error))
        finally:
            self._session = None
        return session.welcomed, delay

    def _welcomed(self, address: str) -> None:
        if self._told_outage:
            seconds = (self._clock.now_ms() - self.since_ms) / 1000
            _log.info("uplink to %s is back after %.0f s", address, seconds)
        elif self.connected_to != address:
            _log.info("uplink to %s is connected", address)
        self.connected_to, self.since_ms, self.message, self._told_outage = address, self._clock.now_ms(), "", False
        self._callbacks.connected()

    def _lost(self, address: str, why: str, *, quiet: bool = False) -> None:
        if self.connected_to is not None:
            self.since_ms = self._clock.now_ms()
        # Of a handshake that failed, the transport tells only that it did.
        why = self._callbacks.unusable() or why
        self.connected_to, self.message = None, f"{address}: {why}"
        if quiet:
            _log.info("uplink to %s: %s", address, why)
        elif not self._told_outage:
            self._told_outage = True
            _log.warning("uplink to %s is lost: %s; frames wait in the spool", address, why)
