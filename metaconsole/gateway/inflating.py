"""Messages that satellites deflated, as they were.

The one promise: no more is inflated than a message may have, whatever was sent.
"""

import zlib
from typing import Final

from google.protobuf.message import DecodeError

from metaconsole.gateway.check import ProtocolError
from shared.batches import MESSAGE_BYTES
from shared.pb import uplink_pb2

LIMIT: Final = 2 * MESSAGE_BYTES  # the transport's, too
INLINE_BYTES: Final = 16 * 1024  # deflated; more is inflated in a thread


class OversizeError(Exception):
    """The message is larger than any may be."""


def inflated(data: bytes) -> uplink_pb2.SatelliteMessage:
    """Return the message in deflated bytes; raises OversizeError, or ProtocolError for what is none."""
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(data, LIMIT + 1)
    except zlib.error as error:
        raise ProtocolError(f"a deflated message can't be inflated: {error}") from error
    if len(plain) > LIMIT:
        raise OversizeError(f"a deflated message has at most {LIMIT} bytes inflated, this one has more")
    if not inflater.eof or inflater.unused_data:
        raise ProtocolError("a deflated message ends too early, or something follows it")
    try:
        message = uplink_pb2.SatelliteMessage.FromString(plain)
    except DecodeError as error:
        raise ProtocolError(f"a deflated message can't be read: {error}") from error
    if message.HasField("deflated"):
        raise ProtocolError("a deflated message holds another one that is deflated")
    return message
