"""Power of guests: start, stop (hard), shut down (through VMware Tools), reset, suspend.

The one promise: a guest that is there already, or can't get there, is left alone and says why.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from pydantic import Field

from satellite.collectors.vsphere.action_base import Arguments, Operation, read
from satellite.collectors.vsphere.session import Session

_WORDS: Final = {"poweredOn": "is running", "poweredOff": "is stopped", "suspended": "is suspended"}
TOOLS_RUN: Final = "guestToolsRunning"
GUEST_PATHS: Final = ("runtime.powerState", "runtime.connectionState", "config.template", "guest.toolsRunningStatus")


class GuestOperation(Operation):
    """What all operations on a guest share."""

    paths: ClassVar[tuple[str, ...]] = GUEST_PATHS
    privilege: ClassVar[str]

    @property
    def power(self) -> str:
        """The vendor's power state."""
        return str(self.facts.get("runtime.powerState", "unknown"))

    @property
    def tools_run(self) -> bool:
        """Whether VMware Tools run in the guest."""
        return str(self.facts.get("guest.toolsRunningStatus")) == TOOLS_RUN

    def power_words(self) -> str:
        """Return the power state as the end of a sentence."""
        return _WORDS.get(self.power, f"is in the power state {self.power}")

    def refusal(self) -> str:
        """Refuse what vCenter can't reach, and templates."""
        connection = str(self.facts.get("runtime.connectionState", "unknown"))
        if connection != "connected":
            return f"can't be reached by vSphere: its connection state is {connection}"
        if self.facts.get("config.template"):
            return "is a template: make it a virtual machine first"
        return self.refused()

    def refused(self) -> str:
        """Return why this one is refused; empty where it is not."""
        return ""

    def needs(self) -> Sequence[tuple[Any, str]]:
        """Return the operation's own privilege."""
        return [(self.target, self.privilege)]


class Start(GuestOperation):
    """Power on, or resume what is suspended."""

    verb = "start"
    privilege = "VirtualMachine.Interact.PowerOn"
    done = "is started"

    def refused(self) -> str:
        """Refuse what runs."""
        return "is running already" if self.power == "poweredOn" else ""

    def intent(self) -> str:
        """Tell it."""
        return "would be resumed" if self.power == "suspended" else "would be powered on"

    def begin(self) -> Any:
        """Do it."""
        return self.target.PowerOn()


class _Running(GuestOperation):
    """Only for guests that run."""

    def refused(self) -> str:
        """Refuse what does not run."""
        return "" if self.power == "poweredOn" else f"{self.power_words()}: only a running guest can do this"


class Stop(_Running):
    """Power off, without asking the guest."""

    verb = "stop"
    privilege = "VirtualMachine.Interact.PowerOff"
    done = "is stopped"

    def intent(self) -> str:
        """Tell it."""
        return "would be powered off at once, as by pulling the plug"

    def begin(self) -> Any:
        """Do it."""
        return self.target.PowerOff()


class Reset(_Running):
    """Reset, without asking the guest."""

    verb = "reset"
    privilege = "VirtualMachine.Interact.Reset"
    done = "was reset"

    def intent(self) -> str:
        """Tell it."""
        return "would be reset at once, as by its reset button"

    def begin(self) -> Any:
        """Do it."""
        return self.target.Reset()


class Suspend(_Running):
    """Suspend to disk."""

    verb = "suspend"
    privilege = "VirtualMachine.Interact.Suspend"
    done = "is suspended"

    def intent(self) -> str:
        """Tell it."""
        return "would be suspended, its memory written to disk"

    def begin(self) -> Any:
        """Do it."""
        return self.target.Suspend()


class ShutdownArguments(Arguments):
    """A guest may take its time."""

    timeout_seconds: float = Field(default=600, ge=1, le=86_400)


class Shutdown(_Running):
    """Ask the guest's own system to shut down: there is no task, its power state tells the end."""

    verb = "shutdown"
    privilege = "VirtualMachine.Interact.PowerOff"
    done = "is shut down"
    Arguments = ShutdownArguments

    def refused(self) -> str:
        """Refuse what does not run, and what has nobody to ask."""
        why = super().refused()
        return why or ("" if self.tools_run else "runs no VMware Tools that could shut it down: `stop` would be hard")

    def intent(self) -> str:
        """Tell it."""
        return "would be asked to shut down by VMware Tools"

    def begin(self) -> Any:
        """Do it."""
        self.target.ShutdownGuest()

    def settled(self, session: Session) -> bool:
        """Tell whether it is off."""
        return str(read(session, self.target, ("runtime.powerState",)).get("runtime.powerState")) == "poweredOff"
