"""The least privileges of the collector `vsphere`: what reads, and what each action needs beyond that.

The one promise: the role ReadOnly of vSphere is enough for all but the actions.
"""

from typing import Final

from satellite.collector import Privilege

READING: Final = (
    Privilege("System.View", "the session, the list of objects and their names"),
    Privilege("System.Read", "inventory, statistics, alarms, events, tags and vSAN"),
)
ACTING: Final = (
    Privilege("VirtualMachine.Interact.PowerOn", "power guests on"),
    Privilege("VirtualMachine.Interact.PowerOff", "power guests off, shut them down"),
    Privilege("VirtualMachine.Interact.Reset", "reset and reboot guests"),
    Privilege("VirtualMachine.Interact.Suspend", "suspend guests"),
    Privilege("VirtualMachine.State.CreateSnapshot", "take snapshots"),
    Privilege("VirtualMachine.State.RevertToSnapshot", "go back to snapshots"),
    Privilege("VirtualMachine.State.RemoveSnapshot", "delete snapshots"),
    Privilege("Resource.HotMigrate", "migrate guests that run"),
    Privilege("Resource.ColdMigrate", "migrate guests that are off"),
    Privilege("Host.Config.Maintenance", "put hosts into maintenance mode"),
)
