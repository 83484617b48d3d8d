"""Snapshots of guests: create, revert to one, delete one.

The one promise: a name that is not that of exactly one snapshot changes nothing.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from satellite.collectors.vsphere.action_base import Arguments
from satellite.collectors.vsphere.action_power import GUEST_PATHS, GuestOperation
from satellite.collectors.vsphere.library import clean, object_id


class CreateArguments(Arguments):
    """memory: with the memory of a running guest. quiesce: with its file systems at rest, which VMware Tools do."""

    timeout_seconds: float = Field(default=1800, ge=1, le=86_400)
    name: str = Field(min_length=1, max_length=80)
    description: str = Field(default="", max_length=1000)
    memory: bool = False
    quiesce: bool = False


class Create(GuestOperation):
    """Take a snapshot."""

    verb = "snapshot.create"
    privilege = "VirtualMachine.State.CreateSnapshot"
    Arguments = CreateArguments

    def refused(self) -> str:
        """Refuse what only a running guest with Tools can do."""
        if self.arguments.memory and self.power != "poweredOn":
            return f"{self.power_words()}: there is no memory to keep"
        if self.arguments.quiesce and not (self.power == "poweredOn" and self.tools_run):
            return "runs no VMware Tools that could bring its file systems to rest"
        return ""

    def intent(self) -> str:
        """Tell it."""
        return f"would get the snapshot {self.arguments.name!r}" + (" with its memory" if self.arguments.memory else "")

    def achieved(self) -> str:
        """Tell its name."""
        return f"has the snapshot {self.arguments.name!r}"

    def begin(self) -> Any:
        """Do it."""
        wanted = self.arguments
        return self.target.CreateSnapshot(wanted.name, wanted.description, wanted.memory, wanted.quiesce)


class ChosenArguments(Arguments):
    """snapshot: its name, or the vendor's id (snapshot-42) where several have that name."""

    timeout_seconds: float = Field(default=1800, ge=1, le=86_400)
    snapshot: str = Field(min_length=1, max_length=200)


class _Chosen(GuestOperation):
    """An operation on one snapshot of the guest."""

    paths: ClassVar[tuple[str, ...]] = (*GUEST_PATHS, "snapshot.rootSnapshotList")

    def chosen(self) -> list[Any]:
        """Return the snapshots that are meant: one, if all is well."""
        wanted = self.arguments.snapshot
        every = list(_all(self.facts.get("snapshot.rootSnapshotList") or ()))
        return [each for each in every if object_id(each.snapshot) == wanted] or [
            each for each in every if each.name == wanted
        ]

    def refused(self) -> str:
        """Refuse a name of none and of several."""
        found = self.chosen()
        if not found:
            return f"has no snapshot {clean(self.arguments.snapshot)!r}"
        if len(found) > 1:
            names = ", ".join(object_id(each.snapshot) for each in found[:10])
            return f"has {len(found)} snapshots {clean(self.arguments.snapshot)!r}: name one by its id ({names})"
        return ""


class Revert(_Chosen):
    """Go back to a snapshot."""

    verb = "snapshot.revert"
    privilege = "VirtualMachine.State.RevertToSnapshot"
    Arguments = ChosenArguments

    def achieved(self) -> str:
        """Tell its name."""
        return f"is as it was in the snapshot {clean(self.arguments.snapshot)!r}"

    def intent(self) -> str:
        """Tell it."""
        (chosen,) = self.chosen()
        return (
            f"would go back to the snapshot {clean(chosen.name)!r} of {chosen.createTime:%Y-%m-%d %H:%M} UTC; what "
            "came after it would be lost"
        )

    def begin(self) -> Any:
        """Do it."""
        (chosen,) = self.chosen()
        return chosen.snapshot.Revert()


class DeleteArguments(ChosenArguments):
    """children: with all snapshots that build on it."""

    children: bool = False


class Delete(_Chosen):
    """Delete a snapshot; what it holds is merged into what builds on it."""

    verb = "snapshot.delete"
    privilege = "VirtualMachine.State.RemoveSnapshot"
    Arguments = DeleteArguments

    def achieved(self) -> str:
        """Tell its name."""
        return f"has the snapshot {clean(self.arguments.snapshot)!r} no more"

    def intent(self) -> str:
        """Tell it."""
        (chosen,) = self.chosen()
        below = sum(1 for _ in _all(chosen.childSnapshotList or ())) if self.arguments.children else 0
        return f"would lose the snapshot {clean(chosen.name)!r}" + (f" and {below} below it" if below else "")

    def begin(self) -> Any:
        """Do it."""
        (chosen,) = self.chosen()
        return chosen.snapshot.Remove(self.arguments.children, True)


def _all(trees: Any) -> Iterator[Any]:
    waiting = list(trees)
    while waiting:
        tree = waiting.pop(0)
        yield tree
        waiting += tree.childSnapshotList or ()
