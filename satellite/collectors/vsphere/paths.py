"""Which properties of which type of object are watched, and what each is made into when it arrives.

The one promise: nothing that changes all the time is among them, for each change would wake the watch.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from satellite.collectors.vsphere import devices, network
from satellite.collectors.vsphere.alarms import alarms
from satellite.collectors.vsphere.facts import (
    MANY,
    Convert,
    flag,
    instant,
    name,
    references,
    referred,
    text,
    whole,
)
from satellite.collectors.vsphere.library import clean
from satellite.collectors.vsphere.snapshots import snapshots


def _fields(value: Any) -> tuple[tuple[int, str], ...]:
    """Return custom attributes: the numbers of their fields, and their values."""
    found = {int(each.key): clean(each.value) for each in value[:MANY] if isinstance(getattr(each, "value", None), str)}
    return tuple(sorted((key, content) for key, content in found.items() if content))


def _field_names(value: Any) -> tuple[tuple[int, str], ...]:
    return tuple(sorted((int(each.key), clean(each.name, 100)) for each in value[:MANY]))


def _service_tag(value: Any) -> str | None:
    """Return the serial number as a server before 6.7 tells it."""
    tags = [each.identifierValue for each in value[:MANY] if each.identifierType.key == "ServiceTag"]
    return text(tags[0]) if tags else None


def _mounts(value: Any) -> tuple[str, ...]:
    return references([each.key for each in value[:MANY]])


_ENTITY: Final[Mapping[str, Convert]] = {"name": name, "parent": referred, "customValue": _fields}
_POOL: Final[Mapping[str, Convert]] = {
    **_ENTITY,
    "config.cpuAllocation.limit": whole,
    "config.cpuAllocation.reservation": whole,
    "config.memoryAllocation.limit": whole,
    "config.memoryAllocation.reservation": whole,
}
_NETWORK: Final[Mapping[str, Convert]] = {**_ENTITY, "summary.accessible": flag}
_SWITCH: Final[Mapping[str, Convert]] = {
    **_ENTITY,
    "uuid": text,
    "summary.hostMember": references,
}

# By the type as the wire names it. What a derived type has, its base has at most.
WATCHED: Final[Mapping[str, Mapping[str, Convert]]] = MappingProxyType(
    {
        "VirtualMachine": {
            **_ENTITY,
            "parentVApp": referred,
            "resourcePool": referred,
            "datastore": references,
            "network": references,
            "snapshot": snapshots,
            "config.instanceUuid": text,
            "config.uuid": text,
            "config.template": flag,
            "config.version": text,
            "config.guestFullName": text,
            "config.files.vmPathName": text,
            "config.hardware.numCPU": whole,
            "config.hardware.numCoresPerSocket": whole,
            "config.hardware.memoryMB": whole,
            "config.hardware.device": devices.hardware,
            "config.cpuAllocation.limit": whole,
            "config.memoryAllocation.limit": whole,
            "runtime.host": referred,
            "runtime.powerState": text,
            "runtime.connectionState": text,
            "runtime.bootTime": instant,
            "guest.hostName": text,
            "guest.ipAddress": text,
            "guest.net": devices.addresses,
            "guest.guestFullName": text,
            "guest.toolsRunningStatus": text,
            "guest.toolsVersion": text,
            "guest.toolsVersionStatus2": text,
        },
        "HostSystem": {
            **_ENTITY,
            "hardware.systemInfo.uuid": text,
            "hardware.systemInfo.vendor": text,
            "hardware.systemInfo.model": text,
            "hardware.systemInfo.serialNumber": text,
            "hardware.systemInfo.otherIdentifyingInfo": _service_tag,
            "hardware.memorySize": whole,
            "hardware.cpuInfo.numCpuPackages": whole,
            "hardware.cpuInfo.numCpuCores": whole,
            "hardware.cpuInfo.numCpuThreads": whole,
            "hardware.cpuInfo.hz": whole,
            "summary.hardware.cpuModel": text,
            "config.product.name": text,
            "config.product.version": text,
            "config.product.build": text,
            "config.network.pnic": devices.physical_cards,
            "runtime.powerState": text,
            "runtime.connectionState": text,
            "runtime.inMaintenanceMode": flag,
            "runtime.inQuarantineMode": flag,
            "runtime.bootTime": instant,
        },
        "ClusterComputeResource": {
            **_ENTITY,
            "host": references,
            "configuration.dasConfig.enabled": flag,
            "configuration.drsConfig.enabled": flag,
            "configuration.drsConfig.defaultVmBehavior": text,
        },
        "ComputeResource": {"name": name, "parent": referred, "host": references},
        "VirtualApp": {**_POOL, "parentFolder": referred},
        "ResourcePool": _POOL,
        "StoragePod": {**_ENTITY, "podStorageDrsEntry.storageDrsConfig.podConfig.enabled": flag},
        "Folder": _ENTITY,
        "Datacenter": _ENTITY,
        "Datastore": {
            **_ENTITY,
            "summary.type": text,
            "summary.url": text,
            "summary.accessible": flag,
            "summary.maintenanceMode": text,
            "summary.multipleHostAccess": flag,
            "host": _mounts,
        },
        "DistributedVirtualPortgroup": {
            **_NETWORK,
            "config.distributedVirtualSwitch": referred,
            "config.defaultPortConfig": network.vlan,
        },
        "Network": _NETWORK,
        "VmwareDistributedVirtualSwitch": _SWITCH,
        "DistributedVirtualSwitch": _SWITCH,
    }
)

# Of two objects that lie in no view: the root folder lists the alarms of all below it.
ROOT: Final = "triggeredAlarmState"
FIELDS: Final = "field"
SINGLE: Final[Mapping[str, Mapping[str, Convert]]] = MappingProxyType(
    {"Folder": {"name": name, ROOT: alarms}, "CustomFieldsManager": {FIELDS: _field_names}}
)
