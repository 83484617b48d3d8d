"""The words at the beginning of a session: what a Hello says of the process behind it, and the Welcome that answers.

The one promise: what is kept of a greeting is bounded, and who the satellite is comes from its certificate alone.
"""

import time
from typing import Final

from metaconsole.gateway.certificates import InForce
from metaconsole.gateway.definitions import SERIES, SERIES_ATTRIBUTES
from metaconsole.gateway.refused import plain
from metaconsole.store.epochs import Greeting, Registration
from shared import __version__
from shared.batches import BATCH_SAMPLES, MESSAGE_BYTES
from shared.certificates import Leaf
from shared.pb import uplink_pb2
from shared.protocol import PROTOCOL
from shared.tls import SatelliteIdentity

FRAMES_IN_FLIGHT: Final = 64
_LIMITS: Final = uplink_pb2.Limits(
    message_bytes=MESSAGE_BYTES,
    batch_samples=BATCH_SAMPLES,
    series=SERIES,
    series_attributes=SERIES_ATTRIBUTES,
    frames_in_flight=FRAMES_IN_FLIGHT,
)


def greeting(hello: uplink_pb2.Hello, leaf: Leaf, peer: str) -> Greeting:
    """Return what the store keeps of a greeting."""
    return Greeting(
        nonce=hello.process_nonce,
        counter=hello.session_counter,
        peer=peer[:200],
        version=plain(hello.version, 100),
        generation=leaf.generation,
        trust=hello.trust_sha256,
        authority=leaf.authority,
        until=leaf.ends,
    )


def is_current(hello: uplink_pb2.Hello, leaf: Leaf, in_force: InForce) -> bool:
    """Return whether the satellite trusts what is to be trusted now, and is signed by who signs now."""
    return (hello.trust_sha256, leaf.authority) == (in_force.trust_sha256, in_force.authority)


def welcome(identity: SatelliteIdentity, registration: Registration, *, renew: bool) -> uplink_pb2.Welcome:
    """Return the answer to a greeting; renew asks for a new certificate."""
    epochs = [
        uplink_pb2.EpochState(
            epoch=state.epoch.bytes,
            series_through=state.series_through,
            taken=[uplink_pb2.SequenceRange(first=first, last=last) for first, last in state.taken],
            retired=state.retired,
        )
        for state in registration.epochs
    ]
    return uplink_pb2.Welcome(
        version=__version__,
        protocol_major=PROTOCOL[0],
        protocol_minor=PROTOCOL[1],
        incarnation=registration.incarnation.bytes,
        now_ms=time.time_ns() // 1_000_000,
        limits=_LIMITS,
        epochs=epochs,
        satellite_id=str(identity.satellite_id),
        site=registration.site,
        renew_certificate=renew,
    )
