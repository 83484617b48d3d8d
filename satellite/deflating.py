"""Messages that shrink are deflated on their way: inventories, definitions, events.

The one promise: what comes out is what goes in, or a message that holds it; batches are never looked at, since their
columns are compressed already.
"""

import asyncio
import zlib
from typing import Final

from shared.pb import uplink_pb2
from shared.protocol import Version

SINCE: Final[Version] = (1, 1)  # the protocol of the first metaconsole that inflates
SMALLEST: Final = 1024  # bytes of a message that is worth it
_LEVEL: Final = 6
_INLINE: Final = 64 * 1024  # bytes that are deflated in the loop, in about a millisecond
_WORTH: Final = 0.9  # of its size is the most that a message may keep


async def deflated(message: uplink_pb2.SatelliteMessage) -> uplink_pb2.SatelliteMessage:
    """Return a message in its smaller form."""
    if message.HasField("frame") and message.frame.HasField("batch"):
        return message
    size = message.ByteSize()
    if size < SMALLEST:
        return message
    return _deflated(message) if size <= _INLINE else await asyncio.to_thread(_deflated, message)


def _deflated(message: uplink_pb2.SatelliteMessage) -> uplink_pb2.SatelliteMessage:
    plain = message.SerializeToString()
    small = zlib.compress(plain, _LEVEL)
    return uplink_pb2.SatelliteMessage(deflated=small) if len(small) <= _WORTH * len(plain) else message
