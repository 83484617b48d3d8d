"""The one writer of a gateway: frames of all sessions, a few at a time, each group one transaction.

The one promise: `settled` is called for a frame after the COMMIT that stored it, and never otherwise; while PostgreSQL
is away the frames wait here, and who submits more waits too.
"""

import asyncio
import logging
import time
from collections import deque
from typing import Final, Protocol, TypeAlias

from metaconsole.gateway.check import refuse
from metaconsole.gateway.outage import Outage
from metaconsole.store import log
from metaconsole.store.database import (
    AsyncConnection,
    StoreError,
    UnavailableError,
    UnstorableError,
    close,
    connect_async,
    connected,
    require_durable,
)
from metaconsole.store.frames import CheckedFrame, Outcome

GROUP_FRAMES: Final = 64
GROUP_BYTES: Final = 8 * 1024 * 1024
GROUP_SECONDS: Final = 0.002
QUEUE_BYTES: Final = 64 * 1024 * 1024
NOTIFY_SECONDS: Final = 0.1
BACKOFF_SECONDS: Final = (0.1, 5.0)
_log = logging.getLogger(__name__)


class Sink(Protocol):
    """Who submitted a frame."""

    def settled(self, frame: CheckedFrame, outcome: Outcome) -> None:
        """Take note of what became of a frame; the frame is a refused one where the database would not have it."""


_Waiting: TypeAlias = tuple[CheckedFrame, Sink]


class Writer:
    """Group commit. `run` and `notify` are tasks of the gateway that end by cancellation."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: AsyncConnection | None = None
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._stored = asyncio.Event()
        self._outage = Outage("frames")

    async def submit(self, frame: CheckedFrame, sink: Sink) -> None:
        """Queue a frame; waits while the queue is full."""
        while self._bytes >= QUEUE_BYTES:
            self._room.clear()
            await self._room.wait()
        self._waiting.append((frame, sink))
        self._bytes += frame.size
        self._arrived.set()

    async def run(self) -> None:
        """Store what is submitted until cancelled."""
        try:
            while True:
                group = await self._next_group()
                for (_, sink), (frame, outcome) in zip(group, await self._store([f for f, _ in group]), strict=True):
                    sink.settled(frame, outcome)
                self._stored.set()
        finally:
            await self._disconnect()

    async def notify(self) -> None:
        """Wake the readers after something was stored, outside its transaction and at most every 100 ms."""
        while True:
            await self._stored.wait()
            self._stored.clear()
            try:
                async with connected(self._url, application="nephoscope notify", autocommit=True) as connection:
                    while True:
                        await log.notify(connection)
                        await asyncio.sleep(NOTIFY_SECONDS)
                        await self._stored.wait()
                        self._stored.clear()
            except UnavailableError:
                # Readers look every second by themselves; the writer tells of the outage.
                await asyncio.sleep(BACKOFF_SECONDS[1])

    async def _next_group(self) -> list[_Waiting]:
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        if len(self._waiting) < GROUP_FRAMES and self._bytes < GROUP_BYTES:
            await asyncio.sleep(GROUP_SECONDS)
        group: list[_Waiting] = []
        size = 0
        while self._waiting and len(group) < GROUP_FRAMES and size < GROUP_BYTES:
            waiting = self._waiting.popleft()
            group.append(waiting)
            size += waiting[0].size
        self._bytes -= size
        self._room.set()
        return group

    async def _store(self, frames: list[CheckedFrame]) -> list[tuple[CheckedFrame, Outcome]]:
        """Return each frame with its outcome, however long PostgreSQL is away."""
        delay = BACKOFF_SECONDS[0]
        while True:
            try:
                outcomes = await log.append(await self._connected(), frames)
            except UnstorableError as error:
                return await self._store_singly(frames, error)
            except StoreError as error:
                await self._disconnect()
                self._outage.lost(error)
                await asyncio.sleep(delay)
                delay = min(2 * delay, BACKOFF_SECONDS[1])
            else:
                self._outage.back()
                return list(zip(frames, outcomes, strict=True))

    async def _store_singly(
        self, frames: list[CheckedFrame], error: UnstorableError
    ) -> list[tuple[CheckedFrame, Outcome]]:
        """Find the frame that PostgreSQL will not have: it alone is refused."""
        if len(frames) > 1:
            return [done for frame in frames for done in await self._store([frame])]
        if frames[0].refusal is not None:
            raise error
        _log.error("PostgreSQL refuses a frame that had passed the checks: %s", error)
        sentence = f"the database does not take it: {error}"
        return await self._store([refuse(frames[0], "unstorable", sentence, time.time_ns() // 1_000_000)])

    async def _connected(self) -> AsyncConnection:
        if self._connection is None:
            # Kept before it is asked anything, so that whatever ends the asking closes it.
            self._connection = await connect_async(self._url, application="nephoscope gateway")
            await require_durable(self._connection)
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await close(connection)
