"""Which machine this is: its facts and the claims by which other sources' records of it are recognised.

The one promise: the key survives restarts and reboots, and nothing here asks the network.
"""

import os
import platform
import re
import socket
import uuid
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import psutil

from satellite.collectors.host.files import read_text
from satellite.collectors.host.virtualization import container, virtualization
from shared.model import AttributeValue, IdentityClaim, Inventory, Kind, Resource, ResourceKey, State, claim

_DMI: Final = Path("/sys/class/dmi/id")
_MACHINE_IDS: Final = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
# What firmware says when its maker did not fill it in.
_PLACEHOLDERS: Final = frozenset({"03000200-0400-0500-0006-000700080009", "12345678-1234-5678-90ab-cddeefaabbcc"})
_SHARED_MACS: Final = ("00:00:5e:00:", "00:00:0c:07:ac", "00:00:0c:9f:f")  # VRRP and HSRP move between machines


def discover() -> Inventory:
    """Return the machine as a source's one resource; blocking."""
    name = socket.gethostname()
    return Inventory((Resource(_key(name), name, State.UP, "", _facts(), tuple(_claims(name))),))


def machine_id() -> str | None:
    """Return systemd's machine id, None where there is none."""
    for path in _MACHINE_IDS:
        text = read_text(path)
        if re.fullmatch(r"[0-9a-f]{32}", text) and text.strip("0"):
            return text
    return None


def dmi_uuid() -> str | None:
    """Return the SMBIOS UUID in canonical form, None where it can't be read or says nothing."""
    try:
        value = uuid.UUID(read_text(_DMI / "product_uuid"))
    except ValueError:
        return None
    constant = len(set(value.bytes)) == 1
    return None if constant or str(value) in _PLACEHOLDERS else str(value)


def has_dmi() -> bool:
    """Whether this machine has SMBIOS tables at all."""
    return _DMI.exists()


def _key(name: str) -> ResourceKey:
    """Prefer the machine id; without one, the firmware's or the first card's number makes one that stays."""
    known = machine_id()
    if known is None:
        evidence = dmi_uuid() or next(iter(_macs()), "") or name
        known = uuid.uuid5(uuid.NAMESPACE_OID, f"nephoscope:{evidence}").hex
    return ResourceKey(Kind.HOST, known)


def _claims(name: str) -> Iterator[IdentityClaim]:
    if (smbios := dmi_uuid()) is not None:
        yield claim("dmi_uuid", smbios)
    for address in _macs():
        yield claim("mac", address)
    if (known := machine_id()) is not None:
        yield claim("machine_id", known)
    if (full := _fqdn(name)) is not None:
        yield claim("fqdn", full)


def _macs() -> Sequence[str]:
    """Return the addresses of real (or a hypervisor's) cards: bridges, bonds and tunnels only copy them."""
    found = set()
    for name, addresses in psutil.net_if_addrs().items():
        if not Path("/sys/class/net", name, "device").exists():
            continue
        found |= {entry.address.lower() for entry in addresses if entry.family == psutil.AF_LINK}
    return sorted(mac for mac in found if mac.strip("0:") and not mac.startswith(_SHARED_MACS))


def _fqdn(name: str) -> str | None:
    """Return the full name as the host name or /etc/hosts tells it: asking DNS could block."""
    names = [name]
    for line in read_text(Path("/etc/hosts")).splitlines():
        words = line.partition("#")[0].split()
        if name in words[1:]:
            names += words[1:]
    full = (word.lower() for word in names if "." in word.strip(".") and not word.startswith("localhost"))
    return next(full, None)


def _facts() -> Mapping[str, AttributeValue]:
    release = _os_release()
    facts: dict[str, AttributeValue | None] = {
        "os.type": platform.system().lower(),
        "os.name": release.get("ID"),
        "os.version": release.get("VERSION_ID"),
        "os.description": release.get("PRETTY_NAME"),
        "os.kernel": platform.release(),
        "host.arch": platform.machine(),
        "host.cpu.model.name": _cpu_model(),
        "host.cpu.logical.count": os.cpu_count(),
        "host.memory.size": psutil.virtual_memory().total,
        "host.boot_time": _boot_time(),
        "host.virtualization": virtualization(),
        "host.container": container(),
        "hw.vendor": read_text(_DMI / "sys_vendor"),
        "hw.model": read_text(_DMI / "product_name"),
    }
    return {name: value for name, value in facts.items() if value not in (None, "")}


@cache
def _boot_time() -> int:
    """Return when the kernel started (UTC seconds), read once: adjusting the clock moves what the kernel says."""
    return int(psutil.boot_time())


def _os_release() -> Mapping[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _cpu_model() -> str | None:
    found = re.search(r"^model name\s*:\s*(.+)$", read_text(Path("/proc/cpuinfo")), re.MULTILINE)
    return found[1].strip() if found else None
