"""The stream of a session: messages out and in.

The one promise: a message that the line does not take in time, and a stream that is over, end the session with a
sentence that says why.
"""

import asyncio
from typing import Any, Final

import grpc.aio

from satellite.deflating import deflated
from shared.pb import uplink_pb2, uplink_pb2_grpc

_WRITE_SECONDS: Final = 30.0
_SLOWEST: Final = 8_000  # bytes a second that a message gets more time for


class SessionEndedError(Exception):
    """The session is over; the message says why. Expected ends are no outage."""

    def __init__(self, message: str, *, expected: bool = False, reconnect_after: float | None = None) -> None:
        super().__init__(message)
        self.expected = expected
        self.reconnect_after = reconnect_after


class Stream:
    """One call of the uplink. Several tasks may write, one reads."""

    def __init__(self) -> None:
        self.deflates = False  # whether the other end knows messages that are deflated
        self._call: Any = None
        self._writing = asyncio.Lock()

    def open(self, channel: grpc.aio.Channel) -> None:
        """Begin the call."""
        self._call = uplink_pb2_grpc.UplinkStub(channel).Session()  # type: ignore[no-untyped-call]

    def cancel(self) -> None:
        """End the call, whatever is under way."""
        self._call.cancel()

    async def done_writing(self) -> None:
        """Tell the other end that nothing more comes."""
        await self._call.done_writing()

    async def write(self, message: uplink_pb2.SatelliteMessage) -> None:
        """Hand a message to the line. Raises SessionEndedError."""
        async with self._writing:
            seconds = _WRITE_SECONDS + message.ByteSize() / _SLOWEST
            try:
                async with asyncio.timeout(seconds):
                    await self._call.write(await deflated(message) if self.deflates else message)
            except TimeoutError:
                raise SessionEndedError(f"a message could not be written within {seconds:.0f} s") from None
            except asyncio.InvalidStateError:
                await self.read()  # the call is over: this raises its status
                raise SessionEndedError("the metaconsole closed the stream") from None

    async def read(self) -> uplink_pb2.MetaconsoleMessage:
        """Return the next message. Raises SessionEndedError, AioRpcError."""
        message = await self._call.read()
        if isinstance(message, uplink_pb2.MetaconsoleMessage):
            return message
        code, details = await self._call.code(), await self._call.details()
        raise SessionEndedError(f"the metaconsole ended the session ({code.name}) {details}".strip())
