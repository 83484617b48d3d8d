"""Check series definitions and the greeting: what comes before any frame.

The one promise: what is returned is bounded and dense; a definition that names an unknown metric, or breaks a limit,
keeps its id and gets no series.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final
from uuid import UUID

from metaconsole.gateway.check import SEQUENCES, Known, ProtocolError
from metaconsole.gateway.refused import RefusedError, text
from metaconsole.store.definitions import Definition
from metaconsole.store.epochs import Offer
from shared.limits import KEY, NAME
from shared.model import Kind
from shared.pb import telemetry_pb2, uplink_pb2

SERIES: Final = 1_000_000  # per satellite
MAPPED: Final = 10_000_000  # definitions in the maps of all epochs that a satellite offers at a time
SERIES_ATTRIBUTES: Final = 16
ATTRIBUTE_BYTES: Final = 2_000  # of all attributes of a series: PostgreSQL's index of them takes no more than 2.6 KiB
EPOCHS: Final = 1_000
RANGES: Final = 20_000
NONCE_BYTES: Final = 16
TRUST_BYTES: Final = 32
_KINDS: Final = frozenset(Kind)


def check_hello(hello: uplink_pb2.Hello) -> tuple[UUID, list[Offer]]:
    """Return the run's epoch and all offers, the run's among them; raises ProtocolError."""
    if len(hello.process_nonce) > NONCE_BYTES or len(hello.trust_sha256) > TRUST_BYTES:
        raise ProtocolError(f"a process has at most {NONCE_BYTES} bytes of nonce, a trust bundle {TRUST_BYTES} of hash")
    run = epoch_of(hello.epoch)
    if len(hello.epochs) > EPOCHS or sum(len(offer.unsent) for offer in hello.epochs) > RANGES:
        raise ProtocolError(f"a greeting lists at most {EPOCHS} epochs and {RANGES} ranges")
    offers = {(epoch := epoch_of(offer.epoch)): _offer(epoch, offer) for offer in hello.epochs}
    offers.setdefault(run, Offer(run, [], SEQUENCES))
    return run, list(offers.values())


def check_definitions(
    message: telemetry_pb2.SeriesDefinitions, through: int, known: Known, elsewhere: int = 0
) -> tuple[int, list[Definition]]:
    """Return the first new id and the definitions from there on; raises ProtocolError where ids leave holes.

    Of the epoch, definitions are known through an id; elsewhere are those of the session's other epochs.
    """
    new = [definition for definition in message.definitions if definition.id > through]
    if [definition.id for definition in new] != list(range(through + 1, through + 1 + len(new))):
        raise ProtocolError(f"series definitions come in order of their ids; the next one is {through + 1}")
    if through + len(new) > SERIES:
        raise ProtocolError(f"a satellite has at most {SERIES} series")
    if elsewhere + through + len(new) > MAPPED:
        raise ProtocolError(
            f"the epochs of a session have at most {MAPPED} series definitions: connect again, those of epochs whose "
            "frames are delivered are forgotten then"
        )
    return through + 1, [_definition(definition, known) for definition in new]


def epoch_of(value: bytes) -> UUID:
    """Return an epoch's number; raises ProtocolError."""
    if len(value) != 16:
        raise ProtocolError(f"an epoch has 16 bytes, this one {len(value)}")
    return UUID(bytes=value)


def _offer(epoch: UUID, offer: uplink_pb2.EpochOffer) -> Offer:
    unsent: Sequence[tuple[int, int]] = [(part.first, part.last) for part in offer.unsent]
    edges = [edge for part in unsent for edge in part]
    rising = all(first <= last for first, last in unsent) and all(
        before[1] < after[0] for before, after in pairwise(unsent)
    )
    if not rising or any(not 1 <= edge < SEQUENCES for edge in edges) or offer.next_sequence > SEQUENCES:
        raise ProtocolError("the ranges of an offered epoch ascend, are disjoint and lie within 1 to 2^62 - 1")
    return Offer(epoch, unsent, offer.next_sequence)


def _definition(definition: telemetry_pb2.SeriesDefinition, known: Known) -> Definition:
    resource = definition.resource
    attributes = tuple(sorted(definition.attributes.items()))
    try:
        text(resource.source, NAME, "the name of a source", required=True)
        text(resource.key, KEY, "the key of a resource", required=True)
        for name, value in attributes:
            text(name, NAME, "the name of an attribute", required=True)
            text(value, KEY, f"the attribute {name}")
        known.sources.name([resource.source])
    except RefusedError:
        return Definition("", "", "", 0, ())
    metric = known.metrics.get(definition.metric, 0)
    size = sum(len(part.encode()) for pair in attributes for part in pair)
    if resource.kind not in _KINDS or len(attributes) > SERIES_ATTRIBUTES or size > ATTRIBUTE_BYTES:
        metric = 0
    return Definition(resource.source, resource.kind, resource.key, metric, attributes)
