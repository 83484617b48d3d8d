"""What is told of a server's objects, and how everything is after it: what goes into an Estate, and what comes out.

The one promise: a picture that was handed out stays as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from satellite.collectors.vsphere.described import Measured
from satellite.collectors.vsphere.targets import Target
from shared.model import Inventory, Resource, ResourceKey

Tags: TypeAlias = Mapping[str, Sequence[tuple[str, str]]]  # by reference: categories and tags
Identities: TypeAlias = Mapping[str, Mapping[str, str]]  # by reference and path


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to an object: it left, or some of its properties have other values, None for none any more."""

    type: str
    id: str
    values: Mapping[str, object]
    entered: bool = False
    left: bool = False

    @property
    def ref(self) -> str:
        """How other objects name it."""
        return f"{self.type}:{self.id}"


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything at one moment: for the inventory, for the metrics, and for whoever looks for an object.

    targets: what has statistics now; snapshots: the guests that have any, running or not; keys: by reference;
    identities: the UUIDs that were told of an object, which a server does not tell while it can't reach the object.
    """

    inventory: Inventory
    targets: Sequence[Target] = ()
    snapshots: Sequence[Target] = ()
    measured: Sequence[tuple[Resource, Measured | None]] = ()
    keys: Mapping[str, ResourceKey] = field(default_factory=dict)
    identities: Identities = field(default_factory=dict)
