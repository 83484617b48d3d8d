"""The readiness report of the collector `libvirt`.

The one promise: each line that does not hold says what to do about it.
"""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from satellite.collector import Check, SourceDeniedError, SourceError
from satellite.collectors.libvirt.client import Client
from satellite.collectors.libvirt.inventory import version
from satellite.collectors.libvirt.library import library

_OLDEST = 6_000_000


def readiness(uri: str) -> Sequence[Check]:
    """Try everything that a cycle needs, on a connection of its own; blocking, never raises SourceError."""
    try:
        library()
    except SourceError as error:
        return (Check("library", False, str(error)),)
    loaded = Check("library", True, f"libvirt-python with libvirt {version(library().getVersion())}")
    client = Client(uri)
    try:
        client.open(lambda *_: None)
        return (loaded, _socket(uri, ""), *_connected(client))
    except SourceDeniedError as error:
        return loaded, _socket(uri, ""), Check("permission", False, str(error))
    except SourceError as error:
        return loaded, _socket(uri, str(error))
    finally:
        if client.abandon():
            client.leave()


def _socket(uri: str, problem: str) -> Check:
    parts = urlsplit(uri)
    where = f"host {parts.hostname}" if parts.hostname else (parse_qs(parts.query).get("socket") or [""])[0]
    if problem and where.startswith("/") and not Path(where).exists():
        problem = f"the socket {where} is not there: start libvirtd, or correct the URI"
    return Check("connection", not problem, problem or f"{uri} answers")


def _connected(client: Client) -> Sequence[Check]:
    connection = client.alive()
    with client.errors():
        running, kind = connection.getLibVersion(), connection.getType()
        guests = len(client.answer(lambda: 0).guests)
    local = urlsplit(client.uri).hostname is None
    clock = "the hypervisor is this machine: one clock" if local else "libvirt tells no time; keep both ends on NTP"
    old = f"libvirt {version(running)} there; versions before {version(_OLDEST)} are not supported: upgrade it"
    return (
        Check("version", running >= _OLDEST, old if running < _OLDEST else f"libvirt {version(running)} there"),
        Check("permission", True, f"{guests} guests can be read; nothing can be changed over this connection"),
        Check("driver", True, f"{kind}: {'all statistics in one call' if kind == 'QEMU' else 'guest by guest'}"),
        Check("clock", True, clock),
    )
