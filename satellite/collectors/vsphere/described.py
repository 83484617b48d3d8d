"""What is told of one object: the words of a resource, and the edges to others by their references.

The one promise: it depends on that object's facts alone, so that only what changed is made anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from satellite.collectors.vsphere.facts import Facts
from shared.model import AttributeValue, IdentityClaim, RelationType, State


@dataclass(frozen=True, slots=True)
class Edge:
    """A relation to another object; incoming: from the other one to this one."""

    type: RelationType
    other: str
    incoming: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """What the properties of an object tell that is a metric; None is not known, and not told."""

    logical_cpus: int | None = None
    physical_cpus: int | None = None
    memory: int | None = None  # bytes
    snapshots: int | None = None
    oldest_snapshot_ms: int = 0


@dataclass(frozen=True, slots=True)
class Described:
    """One object in the words of the model."""

    state: State
    reason: str = ""
    attributes: dict[str, AttributeValue] = field(default_factory=dict)
    claims: Sequence[IdentityClaim] = ()
    edges: Sequence[Edge] = ()
    measured: Measured | None = None


def member_of(facts: Facts, *paths: str) -> list[Edge]:
    """Return the edges to what an object lies in."""
    return [Edge(RelationType.MEMBER_OF, facts.text(path)) for path in paths if facts.text(path)]


def kept(attributes: dict[str, AttributeValue | None]) -> dict[str, AttributeValue]:
    """Return the attributes that are known."""
    return {name: value for name, value in attributes.items() if value is not None and value != ""}
