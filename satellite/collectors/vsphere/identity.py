"""The key of each object, by which the metaconsole knows it again.

The one promise: a guest or a host keeps its key whatever it is called, wherever it lies and however often it is
registered anew; and no two objects of a source have the same one.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from satellite.collectors.vsphere.facts import Facts
from shared.model import Kind, ResourceKey

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "VirtualMachine": Kind.GUEST,
        "HostSystem": Kind.HOST,
        "ClusterComputeResource": Kind.CLUSTER,
        "ResourcePool": Kind.POOL,
        "VirtualApp": Kind.POOL,
        "Folder": Kind.POOL,
        "Datacenter": Kind.POOL,
        "StoragePod": Kind.POOL,
        "Datastore": Kind.DATASTORE,
        "Network": Kind.NETWORK,
        "OpaqueNetwork": Kind.NETWORK,
        "DistributedVirtualPortgroup": Kind.NETWORK,
        "DistributedVirtualSwitch": Kind.NETWORK,
        "VmwareDistributedVirtualSwitch": Kind.NETWORK,
    }
)
UUIDS: Final[Mapping[str, Sequence[str]]] = {
    "VirtualMachine": ("config.instanceUuid", "config.uuid"),
    "HostSystem": ("hardware.systemInfo.uuid",),
}
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What machines say whose maker has not given them one.
_NOBODYS: Final = frozenset(
    {
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "03000200-0400-0500-0006-000700080009",
        "12345678-1234-5678-90ab-cddeefaabbcc",
    }
)


class Keys:
    """Who has which key. Of several objects with one UUID the first by the vendor's id has it for a key."""

    def __init__(self) -> None:
        self._wanted: dict[str, ResourceKey] = {}  # by reference
        self._rivals: dict[ResourceKey, set[str]] = {}  # the references that want a key
        self._keys: dict[str, ResourceKey] = {}

    @property
    def all(self) -> Mapping[str, ResourceKey]:
        """The keys by reference."""
        return self._keys

    def shared(self, ref: str) -> bool:
        """Return whether others have the same UUID."""
        return ref in self._wanted and len(self._rivals[self._wanted[ref]]) > 1

    def update(self, changed: Iterable[Facts], gone: Iterable[str]) -> set[str]:
        """Take what changed; return the references whose key came, went or changed, or is wanted by others as well."""
        touched = {ref for ref in gone if ref in self._keys}
        contested = {self._give_up(ref) for ref in touched}
        for facts in changed:
            wanted = _wanted(facts)
            if wanted == self._wanted.get(facts.ref):
                continue
            touched.add(facts.ref)
            if facts.ref in self._wanted:
                contested.add(self._give_up(facts.ref))
            if wanted is not None:
                self._wanted[facts.ref] = wanted
                self._rivals.setdefault(wanted, set()).add(facts.ref)
                contested.add(wanted)
        for key in contested:
            touched |= self._settle(key)
        return touched

    def _give_up(self, ref: str) -> ResourceKey:
        wanted = self._wanted.pop(ref)
        self._rivals[wanted].discard(ref)
        del self._keys[ref]
        return wanted

    def _settle(self, wanted: ResourceKey) -> set[str]:
        rivals = self._rivals[wanted]
        if not rivals:
            del self._rivals[wanted]
        for place, ref in enumerate(sorted(rivals, key=_order)):
            self._keys[ref] = wanted if place == 0 else ResourceKey(wanted.kind, f"{wanted.key}/{_own(ref, wanted)}")
        return rivals


def uuid(value: str) -> str:
    """Return a UUID in canonical form; empty for what is none, or anybody's."""
    found = value.strip().lower()
    return found if _UUID.fullmatch(found) and found not in _NOBODYS else ""


def _wanted(facts: Facts) -> ResourceKey | None:
    kind = KINDS.get(facts.type)
    if kind is None:
        return None
    found = (uuid(facts.text(path)) for path in UUIDS.get(facts.type, ()))
    return ResourceKey(kind, next(filter(None, found), "") or facts.id)


def _own(ref: str, wanted: ResourceKey) -> str:
    """Return what tells an object from others that want the same key: its id, unless that is what they share."""
    kind, _, number = ref.partition(":")
    return number if number != wanted.key else kind


def _order(ref: str) -> tuple[int, str]:
    """Order references by age: the vendor counts upwards."""
    number = re.search(r"([0-9]{1,18})$", ref)
    return int(number.group(1)) if number else 0, ref
