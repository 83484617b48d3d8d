"""Maintenance mode of hosts: entered once no guest runs there any more, and left.

The one promise: the server is told how long it may wait for guests to leave, so that it does not wait for ever.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field

from satellite.collectors.vsphere.action_base import Arguments, Operation
from shared.model import Kind


class EnterArguments(Arguments):
    """evacuate_stopped: guests that do not run are moved to other hosts as well."""

    timeout_seconds: float = Field(default=3600, ge=1, le=86_400)
    evacuate_stopped: bool = False


class _HostOperation(Operation):
    kind: ClassVar[Kind] = Kind.HOST
    paths: ClassVar[tuple[str, ...]] = ("runtime.connectionState", "runtime.inMaintenanceMode", "vm")

    @property
    def in_maintenance(self) -> bool:
        """Whether the host is in maintenance mode."""
        return bool(self.facts.get("runtime.inMaintenanceMode"))

    def refusal(self) -> str:
        """Refuse what vCenter can't reach, and what is there already."""
        connection = str(self.facts.get("runtime.connectionState", "unknown"))
        if connection != "connected":
            return f"can't be reached by vSphere: its connection state is {connection}"
        return self.refused()

    @abstractmethod
    def refused(self) -> str:
        """Return why this one is refused; empty where it is not."""

    def needs(self) -> Sequence[tuple[Any, str]]:
        """Return the privilege of both."""
        return [(self.target, "Host.Config.Maintenance")]


class Enter(_HostOperation):
    """Enter maintenance mode."""

    verb = "maintenance.enter"
    done = "is in maintenance mode"
    Arguments = EnterArguments

    def refused(self) -> str:
        """Refuse what is in it."""
        return "is in maintenance mode already" if self.in_maintenance else ""

    def intent(self) -> str:
        """Tell it."""
        guests = len(self.facts.get("vm") or ())
        return f"would enter maintenance mode; it has {guests} guests, of which those that run have to move first"

    def begin(self) -> Any:
        """Do it."""
        wanted = self.arguments
        return self.target.EnterMaintenanceMode(round(wanted.timeout_seconds), wanted.evacuate_stopped, None)


class Exit(_HostOperation):
    """Leave maintenance mode."""

    verb = "maintenance.exit"
    done = "has left maintenance mode"

    def refused(self) -> str:
        """Refuse what is not in it."""
        return "" if self.in_maintenance else "is not in maintenance mode"

    def intent(self) -> str:
        """Tell it."""
        return "would leave maintenance mode, and may get guests again"

    def begin(self) -> Any:
        """Do it."""
        return self.target.ExitMaintenanceMode(round(self.arguments.timeout_seconds))
