"""The readiness report of the collector `host`.

The one promise: each line that does not hold says what to do about it.
"""

from collections.abc import Sequence

import psutil

from satellite.collector import Check, Context, SourceError
from satellite.collectors.host.client import local_mounts, remote_mounts
from satellite.collectors.host.inventory import dmi_uuid, has_dmi, machine_id


async def readiness(context: Context) -> Sequence[Check]:
    """Return the report; never raises SourceError."""
    try:
        return await context.call(_report)
    except (SourceError, TimeoutError) as error:
        return (Check("kernel", False, f"the kernel's files did not answer: {error}"),)


def _report() -> Sequence[Check]:
    return (_counters(), _identity(), _smbios(), _filesystems(), _sensors())


def _counters() -> Check:
    try:
        count = len(psutil.cpu_times(percpu=True))
    except OSError as error:
        return Check("counters", False, f"/proc/stat can't be read ({error}): mount /proc without hidepid restrictions")
    return Check("counters", True, f"/proc tells the counters of {count} CPUs")


def _identity() -> Check:
    if machine_id() is None:
        fix = "no valid /etc/machine-id: run systemd-machine-id-setup, or the key hangs on firmware or network card"
        return Check("identity", False, fix)
    return Check("identity", True, "/etc/machine-id names this machine")


def _smbios() -> Check:
    if not has_dmi():
        return Check("smbios", True, "this machine has no SMBIOS tables; its hypervisor's record is matched by MAC")
    if dmi_uuid() is None:
        fix = "/sys/class/dmi/id/product_uuid can't be read or is a placeholder: run the satellite as root to read it"
        return Check("smbios", False, fix)
    return Check("smbios", True, "the SMBIOS UUID ties this machine to its hypervisor's record")


def _filesystems() -> Check:
    local, remote = len(local_mounts()), len(remote_mounts())
    return Check("filesystems", True, f"{local} on local disks, {remote} on the network")


def _sensors() -> Check:
    count = sum(map(len, psutil.sensors_temperatures().values()))
    return Check("temperatures", True, f"{count} sensors" if count else "no sensors here, as usual for a guest")
