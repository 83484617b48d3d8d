"""The one model for every platform: resources, relations, readings, events, gaps, actions and identity claims.

A collector speaks in these values and in nothing else. They are frozen: what was handed over does not change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from shared.columns import F64, I64

AttributeValue: TypeAlias = str | int | float | bool


class Kind(StrEnum):
    """What a resource is."""

    HOST = "host"
    GUEST = "guest"
    CONTAINER = "container"
    CLUSTER = "cluster"
    POOL = "pool"
    DATASTORE = "datastore"
    VOLUME = "volume"
    NETWORK = "network"
    INTERFACE = "interface"
    SERVICE = "service"
    TASK = "task"
    DEVICE = "device"
    MACHINE = "machine"
    SENSOR = "sensor"
    CIRCUIT = "circuit"
    SITE = "site"
    SATELLITE = "satellite"
    SOURCE = "source"


class RelationType(StrEnum):
    """How one resource stands to another."""

    RUNS_ON = "runs_on"
    MEMBER_OF = "member_of"
    STORED_ON = "stored_on"
    ATTACHED_TO = "attached_to"
    CONNECTED_TO = "connected_to"
    DEPENDS_ON = "depends_on"
    SAME_AS = "same_as"


class State(StrEnum):
    """The canonical states: guests and tasks run or stop, hosts and devices are up or down."""

    RUNNING = "running"
    STOPPED = "stopped"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    STARTING = "starting"
    STOPPING = "stopping"
    RESTARTING = "restarting"
    CRASHED = "crashed"
    ERROR = "error"
    UP = "up"
    DOWN = "down"
    DEGRADED = "degraded"
    MAINTENANCE = "maintenance"
    UNKNOWN = "unknown"


class Severity(StrEnum):
    """How much an event or an alert matters."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class GapReason(StrEnum):
    """Why something was not seen."""

    OVERRUN = "overrun"
    UNREACHABLE = "unreachable"
    DENIED = "denied"
    ERROR = "error"
    RESTART = "restart"
    DROPPED = "dropped"
    SKEW = "skew"
    REFUSED = "refused"
    LEASE = "lease"
    MAINTENANCE = "maintenance"


@dataclass(frozen=True, slots=True)
class ResourceKey:
    """A resource as its source names it: a kind and the source's own stable key."""

    kind: Kind
    key: str


@dataclass(frozen=True, slots=True)
class IdentityClaim:
    """Evidence of what a resource is; claims of strength 90 or more tie two records into one by themselves."""

    type: str
    value: str
    strength: int


# The claims that are merged on, strongest first; the strengths are those of reference figures of the field.
CLAIM_STRENGTH: Final[Mapping[str, int]] = {
    "instance_uuid": 100,
    "cloud_id": 100,
    "dmi_uuid": 90,
    "serial": 80,
    "mac": 70,
    "machine_id": 60,
    "fqdn": 40,
    "ip": 20,
}


def claim(claim_type: str, value: str) -> IdentityClaim:
    """Return an identity claim of a known type with its usual strength, its value in canonical form."""
    return IdentityClaim(claim_type, value.strip().lower(), CLAIM_STRENGTH[claim_type])


@dataclass(frozen=True, slots=True)
class Resource:
    """Something observed. Attributes are facts that change rarely; what changes often is a metric."""

    key: ResourceKey
    name: str
    state: State = State.UNKNOWN
    state_reason: str = ""
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    claims: Sequence[IdentityClaim] = ()


@dataclass(frozen=True, slots=True)
class Relation:
    """A directed edge between two resources of the source."""

    source: ResourceKey
    type: RelationType
    target: ResourceKey


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything that a source holds at one instant."""

    resources: Sequence[Resource]
    relations: Sequence[Relation] = ()


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """One metric of one resource with its attributes, sorted by name."""

    resource: ResourceKey
    metric: str
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Layout:
    """The series of a block, in order, all of one metric. Reuse the object while they stay: ids are cached by it."""

    metric: str
    series: tuple[SeriesKey, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ReadingBlock:
    """Values of one metric.

    With instants None the values belong to the batch's instants: shape (series, instants) flattened, series-major.
    Else instants holds one index into the batch's instants per series. Of a counter, starts holds for each series when
    it began to count from zero (UTC milliseconds, 0 where that is not known); None where it is known of none.
    """

    layout: Layout
    values: F64 | I64
    instants: I64 | None = None
    starts: I64 | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """One answer of one poll plan: blocks of values at one or more instants (UTC milliseconds, ascending).

    by_source_clock tells that the source stamped them by a clock of its own, which the collector reports as
    `source_clock`; they are never converted.
    """

    times: I64
    blocks: Sequence[ReadingBlock]
    by_source_clock: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. The id is unique within the source; the same event seen twice has the same id.

    position tells where a collector whose source keeps a history goes on behind it; empty where there is none.
    """

    id: str
    time_ms: int
    type: str
    message: str
    severity: Severity = Severity.INFO
    resource: ResourceKey | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    position: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """A span (UTC milliseconds, end excluded) in which something was not seen, and why."""

    from_ms: int
    to_ms: int
    reason: GapReason
    detail: str
    plan: str = ""
    resource: ResourceKey | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """An operation asked of a collector."""

    id: str
    resource: ResourceKey
    verb: str
    arguments: Mapping[str, AttributeValue] = field(default_factory=dict)
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What became of an action: done or not, and a sentence for the person who asked."""

    succeeded: bool
    message: str
