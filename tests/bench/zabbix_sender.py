"""The sender protocol of Zabbix: a request of values in its frame, and the answer read back.

A frame is ZBXD, flags 1, the length of the content as four little-endian bytes, four bytes reserved, and the content.
"""

import json
import re
import socket
import struct
from collections.abc import Iterable
from typing import Final

MAGIC: Final = b"ZBXD\x01"
SECONDS: Final = 60.0  # an answer that takes longer is a failure
LIMIT: Final = 1 << 20  # of an answer
_HEAD: Final = struct.Struct("<5sII")
_INFO: Final = re.compile(r"processed: (\d+); failed: (\d+); total: (\d+)")


class SenderError(Exception):
    """The server answered what is no answer to a sender."""


def frame(content: bytes) -> bytes:
    """Return a content in its frame."""
    return _HEAD.pack(MAGIC, len(content), 0) + content


def content_length(head: bytes) -> int:
    """Return how many bytes follow the head of a frame; raises SenderError."""
    if len(head) != _HEAD.size or not head.startswith(MAGIC):
        raise SenderError(f"not the head of a frame: {head!r}")
    _, length, _ = _HEAD.unpack(head)
    if length > LIMIT:
        raise SenderError(f"an answer of {length} bytes is not read")
    return int(length)


def request(values: Iterable[tuple[str, str, float | int, int]]) -> bytes:
    """Return the frame of a request of (host, key, value, UTC seconds)."""
    data = [
        {"host": host, "key": key, "value": str(value), "clock": clock, "ns": 0} for host, key, value, clock in values
    ]
    return frame(json.dumps({"request": "sender data", "data": data}, separators=(",", ":")).encode())


def send(port: int, framed: bytes) -> tuple[int, int]:
    """Send a request over a connection of its own, as the server wants it; return how many values it took and not."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
        connection.sendall(framed)
        with connection.makefile("rb") as answer:
            content = answer.read(content_length(answer.read(_HEAD.size)))
    found = _INFO.search(json.loads(content).get("info", ""))
    if found is None:
        raise SenderError(f"the server answered {content[:200]!r}")
    return int(found[1]), int(found[2])
