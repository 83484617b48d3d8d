"""What is known of a server: the facts of each object, and what was made of them for the model.

The one promise: only what changed, or what it changes elsewhere, is made anew; a picture that was handed out stays.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from satellite.collectors.vsphere import compute, guests
from satellite.collectors.vsphere.alarms import Alarm, by_entity
from satellite.collectors.vsphere.described import Described, Measured
from satellite.collectors.vsphere.facts import Facts
from satellite.collectors.vsphere.identity import UUIDS, Keys
from satellite.collectors.vsphere.inventory import Surroundings, describe, relations, resource
from satellite.collectors.vsphere.paths import FIELDS, ROOT
from satellite.collectors.vsphere.picture import Change, Identities, Picture, Tags
from satellite.collectors.vsphere.targets import Target
from shared.model import Inventory, Relation, Resource, ResourceKey

_WITH_STATISTICS: Final = frozenset(
    {"VirtualMachine", "HostSystem", "ClusterComputeResource", "Datastore", "ResourcePool", "VirtualApp"}
)
_HOST: Final = "HostSystem:"
_CLUSTER: Final = "ClusterComputeResource:"
_ALONE: Final = "ComputeResource:"  # of a host in no cluster; it is no resource itself


class Estate:
    """The objects of one server. Belongs to whoever updates it; a Picture of it may be looked at by all."""

    def __init__(self, root: str, server: Resource | None, identities: Identities) -> None:
        """Begin with nothing but what was told of identities before.

        root is the reference of the root folder, for which a vCenter itself stands.
        """
        self.alarm_names: dict[str, str] = {}
        self.stale = True  # something was taken of which there is no picture yet
        self._root, self._server = root, server
        self._identities = dict(identities)
        self._facts: dict[str, Facts] = {}
        self._keys = Keys()
        self._described: dict[str, Described] = {}
        self._resources: dict[str, Resource] = {}
        self._relations: dict[str, tuple[Relation, ...]] = {}
        self._targets: dict[str, Target] = {}
        self._with_snapshots: dict[str, Target] = {}
        self._alarms: tuple[Alarm, ...] = ()
        self._alarm_texts: Mapping[str, str] = {}
        self._fields: dict[int, str] = {}
        self._tags: Tags = {}
        self._changed: set[str] = set()
        self._gone: set[str] = set()

    def unnamed_alarms(self) -> Sequence[str]:
        """Return the references of alarms whose names are not known yet."""
        return sorted({alarm.alarm for alarm in self._alarms} - self.alarm_names.keys())

    def take(self, changes: Iterable[Change]) -> None:
        """Take what the server told."""
        for change in changes:
            if change.ref == self._root or change.type == "CustomFieldsManager":
                self._take_single(change)
                continue
            self.stale = True
            if change.left:
                self._facts.pop(change.ref, None)
                self._identities.pop(change.ref, None)
                self._changed.discard(change.ref)
                self._gone.add(change.ref)
            else:
                self._take_object(change)

    def take_tags(self, tags: Tags) -> None:
        """Take the tags of all objects."""
        self.stale |= tags != self._tags
        self._changed |= {ref for ref in tags.keys() | self._tags.keys() if tags.get(ref) != self._tags.get(ref)}
        self._tags = tags

    def picture(self) -> Picture:
        """Return how everything is now."""
        self._take_alarms()
        self._changed &= self._facts.keys()
        touched = self._keys.update((self._facts[ref] for ref in self._changed), self._gone)
        for ref in self._gone:
            self._drop(ref)
        again = (self._changed | touched) & self._keys.all.keys()
        again |= {cluster for ref in again if (cluster := self._cluster_of(ref)) in self._facts}
        # In an order that stays, for series are numbered in it; clusters last, which are as their hosts are.
        for ref in sorted(again, key=lambda ref: (_is_cluster(ref), ref)):
            self._make(ref)
        for ref in sorted(self._to_relate(again, touched)):
            self._relate(ref)
        self._changed, self._gone, self.stale = set(), set(), False
        return self._seen()

    def _drop(self, ref: str) -> None:
        for kept in (self._described, self._resources, self._relations, self._targets, self._with_snapshots):
            kept.pop(ref, None)

    def _take_single(self, change: Change) -> None:
        if ROOT in change.values:
            found = change.values[ROOT]
            alarms = found if isinstance(found, tuple) else ()
            self.stale |= alarms != self._alarms
            self._alarms = alarms
        if isinstance(names := change.values.get(FIELDS), tuple):
            self._fields, self.stale = dict(names), True
            self._changed |= {ref for ref, facts in self._facts.items() if facts.listed("customValue")}

    def _take_object(self, change: Change) -> None:
        facts = self._facts.get(change.ref)
        if facts is None or change.entered:
            facts = self._facts[change.ref] = Facts(change.type, change.id)
        for path, value in change.values.items():
            if value is None:
                facts.values.pop(path, None)
            else:
                # The vendor's library makes a new name each time, of a type of its own: they took more than the values.
                facts.values[sys.intern(str(path))] = value
        self._remember(facts)
        self._changed.add(change.ref)

    def _remember(self, facts: Facts) -> None:
        """Hold on to the UUIDs of what the server can't reach at the moment: it is who it was."""
        paths = UUIDS.get(facts.type, ())
        before = self._identities.get(facts.ref, {})
        told = {path: found for path in paths if (found := facts.text(path) or before.get(path, ""))}
        if told:
            facts.values |= told
            if told != before:
                self._identities[facts.ref] = told

    def _take_alarms(self) -> None:
        texts = by_entity(self._alarms, self.alarm_names)
        before, self._alarm_texts = self._alarm_texts, texts
        self._changed |= {ref for ref in before.keys() | texts.keys() if before.get(ref) != texts.get(ref)}

    def _cluster_of(self, ref: str) -> str:
        """Return the cluster of a host; empty for all else."""
        parent = self._facts[ref].text("parent") if ref.startswith(_HOST) else ""
        return parent if _is_cluster(parent) else ""

    def _make(self, ref: str) -> None:
        facts, key, shared = self._facts[ref], self._keys.all[ref], self._keys.shared(ref)
        members = facts.listed("host") if _is_cluster(ref) else ()
        hosts = [self._described[host].state for host in members if host in self._described]
        described = self._described[ref] = describe(facts, hosts, alone=not shared)
        custom = [
            (self._fields[number], value) for number, value in facts.listed("customValue") if number in self._fields
        ]
        around = Surroundings(shared, self._alarm_texts.get(ref, ""), self._tags.get(ref, ()), custom)
        made = resource(key, facts, described, around)
        if self._resources.get(ref) != made:
            self._resources[ref] = made
        measured = described.measured or Measured()
        target = Target(facts.type, facts.id, key, measured.logical_cpus or 0, facts.whole("runtime.bootTime") or 0)
        _keep(self._targets, ref, target, there=_has_statistics(facts))
        _keep(self._with_snapshots, ref, target, there=bool(measured.snapshots))

    def _to_relate(self, again: set[str], touched: set[str]) -> set[str]:
        """Return whose relations are to be made again: their own edges, or where those lead to, have changed."""
        moved = touched | {ref for ref in self._changed | self._gone if ref.startswith(_ALONE)}
        moved |= {parent for ref in touched if ref in self._facts and (parent := self._facts[ref].text("parent"))}
        if not moved:
            return again
        return again | {ref for ref, one in self._described.items() if any(edge.other in moved for edge in one.edges)}

    def _relate(self, ref: str) -> None:
        related = relations(self._keys.all[ref], self._described[ref], lambda other: self._find(ref, other))
        if self._relations.get(ref) != related:
            self._relations[ref] = related

    def _find(self, ref: str, other: str) -> ResourceKey | None:
        """Return the key of what another object leads to: through the compute resource of a host in no cluster."""
        if other == self._root:
            return self._server.key if self._server is not None else None
        if other.startswith(_ALONE) and (alone := self._facts.get(other)) is not None:
            hosts = alone.listed("host")
            other = alone.text("parent") if ref in hosts else (hosts[0] if hosts else "")
        return self._keys.all.get(other)

    def _seen(self) -> Picture:
        resources = list(self._resources.values())
        measured = [(made, self._described[ref].measured) for ref, made in self._resources.items()]
        keys = dict(self._keys.all)
        if self._server is not None:
            server = self._server
            if text := self._alarm_texts.get(self._root):
                server = Resource(
                    server.key, server.name, server.state, "", {**server.attributes, "vsphere.alarms": text}
                )
            resources.append(server)
            measured.append((server, None))
            keys[self._root] = server.key
        edges = [relation for some in self._relations.values() for relation in some]
        identities = {ref: told for ref, told in self._identities.items() if ref in self._facts}
        targets, snapshots = list(self._targets.values()), list(self._with_snapshots.values())
        return Picture(Inventory(resources, edges), targets, snapshots, measured, keys, identities)


def _keep(targets: dict[str, Target], ref: str, target: Target, *, there: bool) -> None:
    """Put a target to its place among others, or take it away."""
    if not there:
        targets.pop(ref, None)
    elif targets.get(ref) != target:
        targets[ref] = target


def _is_cluster(ref: str) -> bool:
    return ref.startswith(_CLUSTER)


def _has_statistics(facts: Facts) -> bool:
    if facts.type == "VirtualMachine":
        return guests.running(facts)
    if facts.type == "HostSystem":
        return compute.reached(facts)
    return facts.type in _WITH_STATISTICS
