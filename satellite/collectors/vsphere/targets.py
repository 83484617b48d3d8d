"""What the metrics need to know of an object of vSphere.

The one promise: a target is made from the inventory alone, without asking the server.
"""

from dataclasses import dataclass

from shared.model import ResourceKey


@dataclass(frozen=True, slots=True)
class Target:
    """An entity that has statistics: type and id of the vendor (VirtualMachine, vm-42), and its resource.

    cpus: virtual CPUs of a guest, logical ones of a host, 0 where it has none. started_ms: when it was started (UTC), 0
    where that is not known.
    """

    type: str
    id: str
    key: ResourceKey
    cpus: int = 0
    started_ms: int = 0
