"""What a satellite of another version gets, and what is known of it.

The one promise: a satellite that is too old or too new is refused with what to upgrade, and the console shows that.
"""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.message import Message

from metaconsole.gateway.check import ProtocolError
from metaconsole.store import liveness
from metaconsole.store.database import AsyncDatabase
from shared.certificates import Leaf
from shared.pb import uplink_pb2
from shared.protocol import PROTOCOL, Version, why_refused

# The highest field number that satellites of the minor versions 0, 1 ... knew; what came later is not told by them,
# which is something else than zero. The newest needs none.
FIELDS: Final[Mapping[str, tuple[int, ...]]] = {"Heartbeat": (9,), "SourceStatus": (12,)}


async def check_version(database: AsyncDatabase, hello: uplink_pb2.Hello, leaf: Leaf, peer: str) -> None:
    """Raise ProtocolError for a satellite that this metaconsole can't work with, after noting that it was here."""
    protocol = (hello.protocol_major, hello.protocol_minor)
    if (sentence := why_refused(protocol, PROTOCOL)) is None:
        return
    refused = liveness.Refused(
        site_id=leaf.identity.site_id,
        satellite_id=leaf.identity.satellite_id,
        generation=leaf.generation,
        peer=peer[:200],
        version=hello.version[:100].replace("\0", " "),
        heartbeat=protocol_values(protocol),
    )
    async with database.connection() as connection:
        await liveness.refuse(connection, refused)
    raise ProtocolError(sentence)


def protocol_values(protocol: Version) -> dict[str, Any]:
    """Return a protocol's version as what is kept beside a heartbeat."""
    return dict(zip(("protocol_major", "protocol_minor"), protocol, strict=True))


def told(message: type[Message], minor: int) -> list[str]:
    """Return the names of the fields that a satellite of a minor version knows."""
    known = FIELDS[message.DESCRIPTOR.name]
    highest = known[minor] if minor < len(known) else None
    return [field.name for field in message.DESCRIPTOR.fields if highest is None or field.number <= highest]
