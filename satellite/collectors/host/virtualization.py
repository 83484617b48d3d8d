"""Whether this machine is a guest or a container, and of what: as systemd-detect-virt names it, from files alone.

The one promise: it never runs a program and never raises; what can't be told is `vm-other` or empty.
"""

import re
from pathlib import Path
from typing import Final

from satellite.collectors.host.files import read_text

# The first match counts: a Hyper-V or EC2 guest also names QEMU or Xen in other fields.
_VENDORS: Final = (
    ("Amazon EC2", "amazon"),
    ("Google Compute Engine", "google"),
    ("KubeVirt", "kvm"),
    ("OpenStack", "kvm"),
    ("RHEV", "kvm"),
    ("oVirt", "kvm"),
    ("KVM", "kvm"),
    ("VMware", "vmware"),
    ("VMW", "vmware"),
    ("innotek GmbH", "oracle"),
    ("VirtualBox", "oracle"),
    ("Parallels", "parallels"),
    ("BHYVE", "bhyve"),
    ("Nutanix", "nutanix"),
    ("Hyper-V", "microsoft"),
    ("Xen", "xen"),
    ("QEMU", "qemu"),
    ("Bochs", "bochs"),
)


def virtualization() -> str:
    """Return the hypervisor below this machine, `none` on bare metal."""
    dmi = Path("/sys/class/dmi/id")
    words = [read_text(dmi / name) for name in ("product_name", "sys_vendor", "board_vendor", "bios_vendor")]
    for mark, name in _VENDORS:
        if any(word.startswith(mark) for word in words):
            return name
    if words[:2] == ["Virtual Machine", "Microsoft Corporation"]:
        return "microsoft"
    if (kind := read_text(Path("/sys/hypervisor/type"))) == "xen":
        return kind
    if Path("/proc/device-tree/hypervisor/compatible").exists():
        return "kvm"
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", read_text(Path("/proc/cpuinfo")), re.MULTILINE)
    return "vm-other" if flags and "hypervisor" in flags[1].split() else "none"


def container() -> str:
    """Return what kind of container the satellite runs in, empty outside of one."""
    if (name := read_text(Path("/run/systemd/container"))) != "":
        return name[:64]
    if Path("/run/.containerenv").exists():
        return "podman"
    return "docker" if Path("/.dockerenv").exists() else ""
