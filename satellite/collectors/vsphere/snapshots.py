"""The snapshots of a guest: a tree that may be deep, wide or broken, as a count, the oldest and a text.

The one promise: no tree is followed without end, and it is never recursed into.
"""

from dataclasses import dataclass
from typing import Any, Final

from satellite.collectors.vsphere.facts import instant, joined, name, when

_MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class Snapshots:
    """How many there are, when the oldest was made (UTC milliseconds, 0 where no time is told), and the tree in words.

    In the tree each `>` before a name is one level below the snapshot before it.
    """

    count: int
    oldest_ms: int
    tree: str


def snapshots(value: Any) -> Snapshots:
    """Return VirtualMachine.snapshot in short."""
    parts: list[str] = []
    oldest = 0
    waiting = [(0, each) for each in reversed(value.rootSnapshotList)]
    while waiting and len(parts) < _MOST:
        depth, node = waiting.pop()
        made = instant(node.createTime)
        if made is not None:
            oldest = min(oldest or made, made)
        parts.append("> " * depth + (name(node.name) or "?") + (f" ({when(made)})" if made else ""))
        waiting += [(depth + 1, each) for each in reversed(node.childSnapshotList)]
    return Snapshots(len(parts), oldest, joined(parts))
