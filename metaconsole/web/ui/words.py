"""Words for what the model names: kinds, relations, gap reasons, facts.

The one promise: each name of shared.model has a word in every language; a name from elsewhere is shown as it is.
"""

from typing import Final

from metaconsole.web.ui.language import N_, gettext

KINDS: Final = {
    "host": N_("Host"),
    "guest": N_("Guest"),
    "container": N_("Container"),
    "cluster": N_("Cluster"),
    "pool": N_("Pool"),
    "datastore": N_("Datastore"),
    "volume": N_("Volume"),
    "network": N_("Network"),
    "interface": N_("Interface"),
    "service": N_("Service"),
    "task": N_("Task"),
    "device": N_("Device"),
    "machine": N_("Machine"),
    "sensor": N_("Sensor"),
    "circuit": N_("Circuit"),
    "site": N_("Site"),
    "satellite": N_("Satellite"),
    "source": N_("Source"),
}

# From the resource, and towards it.
RELATIONS: Final = {
    ("runs_on", "out"): N_("Runs on"),
    ("runs_on", "in"): N_("Runs here"),
    ("member_of", "out"): N_("Member of"),
    ("member_of", "in"): N_("Members"),
    ("stored_on", "out"): N_("Stored on"),
    ("stored_on", "in"): N_("Stored here"),
    ("attached_to", "out"): N_("Attached to"),
    ("attached_to", "in"): N_("Attached here"),
    ("connected_to", "out"): N_("Connected to"),
    ("connected_to", "in"): N_("Connected from"),
    ("depends_on", "out"): N_("Depends on"),
    ("depends_on", "in"): N_("Needed by"),
    ("same_as", "out"): N_("Same as"),
    ("same_as", "in"): N_("Same as"),
}

GAPS: Final = {
    "overrun": N_("the cycle before was not done yet"),
    "unreachable": N_("the source could not be reached"),
    "denied": N_("the source refused access"),
    "error": N_("the source or its collector failed"),
    "restart": N_("the satellite was restarted"),
    "dropped": N_("the satellite had no room to keep it"),
    "skew": N_("the satellite's clock was wrong"),
    "refused": N_("the metaconsole refused it"),
    "lease": N_("neither satellite of the pair held the lease"),
    "maintenance": N_("paused for maintenance"),
}

# How facts are called and written; a fact without an entry shows its own name.
FACTS: Final = {
    "os.description": (N_("Operating system"), "text"),
    "os.name": (N_("Distribution"), "text"),
    "os.version": (N_("Version"), "text"),
    "os.type": (N_("System"), "text"),
    "os.kernel": (N_("Kernel"), "text"),
    "host.arch": (N_("Architecture"), "text"),
    "host.cpu.model.name": (N_("Processor"), "text"),
    "host.cpu.logical.count": (N_("Logical CPUs"), "count"),
    "host.memory.size": (N_("Memory"), "bytes"),
    "host.boot_time": (N_("Booted"), "seconds"),
    "host.boot_id": (N_("Boot id"), "text"),
    "host.virtualization": (N_("Virtualization"), "text"),
    "host.container": (N_("Container runtime"), "text"),
    "hw.vendor": (N_("Maker"), "text"),
    "hw.model": (N_("Model"), "text"),
}

# What identity claims are called.
CLAIMS: Final = {
    "instance_uuid": N_("Instance UUID"),
    "cloud_id": N_("Cloud id"),
    "dmi_uuid": N_("SMBIOS UUID"),
    "serial": N_("Serial number"),
    "mac": N_("MAC address"),
    "machine_id": N_("Machine id"),
    "fqdn": N_("Full host name"),
    "ip": N_("IP address"),
}


def kind(name: str) -> str:
    """Return the word for a kind of resource."""
    return gettext(KINDS[name]) if name in KINDS else name


def relation(name: str, direction: str) -> str:
    """Return the word for a relation as seen from one end, "out" or "in"."""
    return gettext(RELATIONS[name, direction]) if (name, direction) in RELATIONS else name


def fact(name: str) -> tuple[str, str]:
    """Return the word for an attribute and how its value is written: text, count, bytes or seconds (an instant)."""
    word, form = FACTS.get(name, ("", "text"))
    return (gettext(word) if word else name), form


def claim(name: str) -> str:
    """Return the word for a type of identity claim."""
    return gettext(CLAIMS[name]) if name in CLAIMS else name
