"""The stream of a session: messages in and out, and the end that it comes to.

The one promise: a satellite that is silent, or takes nothing, is found out within seconds of its deadline.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from metaconsole.gateway.check import ProtocolError
from shared.pb import uplink_pb2

HELLO_SECONDS: Final = 10.0
# Heartbeats come every 5 s, but on a line of 256 kbit/s behind a message of two minutes. What finds dead lines is the
# transport's keepalive.
SILENCE_SECONDS: Final = 180.0
WRITE_SECONDS: Final = 30.0
Context: TypeAlias = grpc.aio.ServicerContext[uplink_pb2.SatelliteMessage, uplink_pb2.MetaconsoleMessage]


class SessionEnd(Exception):  # noqa: N818  # not every end is an error
    """The session is over: the status and the sentence that the satellite gets."""

    def __init__(self, code: grpc.StatusCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class Stream:
    """One call of a satellite. One task reads, one writes."""

    def __init__(self, requests: AsyncIterator[uplink_pb2.SatelliteMessage], context: Context) -> None:
        self.peer = context.peer()  # asked now: a call that is over may not be asked any more
        self._requests = requests
        self._context = context
        # Looked at by `overdue`: a timer for each message would be most of what the garbage collector has to look at.
        self._reading_since: float | None = None
        self._writing_since: float | None = None

    async def hello(self) -> uplink_pb2.Hello:
        """Return the greeting; raises SessionEnd or ProtocolError."""
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                message = await self.read()
        except TimeoutError as error:
            raise _late(f"no greeting came within {HELLO_SECONDS:.0f} s") from error
        if message is None or not message.HasField("hello"):
            raise ProtocolError("a session begins with a greeting (Hello)")
        return message.hello

    async def welcome(self, answer: uplink_pb2.Welcome) -> None:
        """Answer the greeting; raises SessionEnd."""
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await self.write(uplink_pb2.MetaconsoleMessage(welcome=answer))
        except TimeoutError as error:
            raise _late(f"the satellite took no welcome for {WRITE_SECONDS:.0f} s") from error

    async def read(self) -> uplink_pb2.SatelliteMessage | None:
        """Return the next message, None at the end; raises ProtocolError."""
        self._reading_since = time.monotonic()
        try:
            message = await anext(self._requests, None)
        except DecodeError as error:
            raise ProtocolError(f"a message can't be read, its session ends: {error}") from error
        self._reading_since = None
        return message

    async def write(self, message: uplink_pb2.MetaconsoleMessage) -> None:
        """Send a message."""
        self._writing_since = time.monotonic()
        await self._context.write(message)
        self._writing_since = None

    def overdue(self, now: float) -> SessionEnd | None:
        """Return why the session must end when its satellite is silent or takes nothing; now is monotonic seconds."""
        if self._reading_since is not None and now - self._reading_since > SILENCE_SECONDS:
            return _late(f"nothing came for {SILENCE_SECONDS:.0f} s; heartbeats are due every 5 s")
        if self._writing_since is not None and now - self._writing_since > WRITE_SECONDS:
            return _late(f"the satellite took no message for {WRITE_SECONDS:.0f} s")
        return None


def _late(sentence: str) -> SessionEnd:
    return SessionEnd(grpc.StatusCode.DEADLINE_EXCEEDED, sentence)
