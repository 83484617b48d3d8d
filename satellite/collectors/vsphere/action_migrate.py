"""Moving a guest to another host, another datastore, or both.

The one promise: where it shall go is looked at first; a host that takes nobody is named, and nothing is begun.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, model_validator

from satellite.collectors.vsphere.action_base import Arguments, read, wanted
from satellite.collectors.vsphere.action_power import GUEST_PATHS, GuestOperation
from satellite.collectors.vsphere.library import clean, library
from satellite.collectors.vsphere.session import Session
from shared.model import Kind


class MigrateArguments(Arguments):
    """host, datastore: the keys of the resources where it shall go; at least one."""

    timeout_seconds: float = Field(default=3600, ge=1, le=86_400)
    host: str | None = Field(default=None, min_length=1, max_length=200)
    datastore: str | None = Field(default=None, min_length=1, max_length=200)

    @model_validator(mode="after")
    def _somewhere(self) -> "MigrateArguments":
        if self.host is None and self.datastore is None:
            raise ValueError("name a host, a datastore or both")
        return self


class Migrate(GuestOperation):
    """Move a guest while it runs, or while it does not."""

    verb = "migrate"
    done = "has moved"
    paths = (*GUEST_PATHS, "runtime.host", "datastore", "resourcePool")
    Arguments = MigrateArguments

    def look(self, session: Session) -> None:
        """Read also how the places are where it shall go."""
        super().look(session)
        self._host = self._place(session, Kind.HOST, self.arguments.host)
        self._datastore = self._place(session, Kind.DATASTORE, self.arguments.datastore)
        self._host_facts: Mapping[str, Any] = {}
        self._pool: Any = None
        if self._host is not None:
            paths = ("name", "parent", "runtime.connectionState", "runtime.inMaintenanceMode")
            self._host_facts = read(session, self._host, paths)
            self._pool = self._other_pool(session)
        self._datastore_facts: Mapping[str, Any] = {}
        if self._datastore is not None:
            self._datastore_facts = read(session, self._datastore, ("name", "summary.accessible"))

    def _place(self, session: Session, kind: Kind, key: str | None) -> Any:
        return None if key is None else wanted(session, self.find, kind, key)

    def _other_pool(self, session: Session) -> Any:
        """Return the pool of the host's cluster where that is not the guest's; None where it stays in its own."""
        pool, parent = self.facts.get("resourcePool"), self._host_facts.get("parent")
        if parent is None or (pool is not None and read(session, pool, ("owner",)).get("owner") == parent):
            return None
        return read(session, parent, ("resourcePool",)).get("resourcePool")

    def refused(self) -> str:
        """Refuse to go nowhere, or where nobody is taken."""
        wants = self.arguments
        if wants.host is not None and (why := self._host_refuses()):
            return f"can't go to the host {clean(wants.host)!r}: {why}"
        if wants.datastore is not None and self._datastore is None:
            return f"can't go to the datastore {clean(wants.datastore)!r}: it is not known here"
        if wants.datastore is not None and not self._datastore_facts.get("summary.accessible"):
            return f"can't go to the datastore {self._name(self._datastore_facts)}: it is not accessible"
        stays = self._host is None or self.facts.get("runtime.host") == self._host
        if stays and (self._datastore is None or list(self.facts.get("datastore") or ()) == [self._datastore]):
            return "is there already"
        return ""

    def _host_refuses(self) -> str:
        if self._host is None:
            return "it is not known here"
        if str(self._host_facts.get("runtime.connectionState")) != "connected":
            return f"{self._name(self._host_facts)} is not connected"
        return f"{self._name(self._host_facts)} is in maintenance" * bool(
            self._host_facts.get("runtime.inMaintenanceMode")
        )

    def needs(self) -> Sequence[tuple[Any, str]]:
        """Return those of the guest, and of the pool and the datastore where it goes to others."""
        needs = [(self.target, "Resource.HotMigrate" if self.power == "poweredOn" else "Resource.ColdMigrate")]
        if self._pool is not None:
            needs.append((self._pool, "Resource.AssignVMToPool"))
        if self._datastore is not None:
            needs.append((self._datastore, "Datastore.AllocateSpace"))
        return needs

    def intent(self) -> str:
        """Tell it."""
        places = [self._name(facts) for facts in (self._host_facts, self._datastore_facts) if facts]
        return f"would move to {' and '.join(places)}" + (" while it runs" if self.power == "poweredOn" else "")

    def begin(self) -> Any:
        """Do it."""
        spec = library().vim.vm.RelocateSpec(host=self._host, datastore=self._datastore, pool=self._pool)
        return self.target.Relocate(spec, "defaultPriority")

    @staticmethod
    def _name(facts: Mapping[str, Any]) -> str:
        return clean(str(facts.get("name") or "an object without a name"))
