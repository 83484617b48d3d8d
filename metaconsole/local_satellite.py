"""The satellite that `up` runs on this very machine: its settings file, and what it finds here to watch.

The promise: satellite.toml is written once and then its owner's; only the line that says so follows the command line.
"""

import os
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from shared import satellite_file

NAME: Final = "local"
DEFAULT_SITE: Final = "home"
_SYSTEM_SOCKET: Final = Path("/var/run/libvirt/libvirt-sock")
_UPLINKS: Final = re.compile(r"^uplinks = \[.*\]  # follows nephoscope up$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Who:
    """Which satellite a settings file is for."""

    site: str
    name: str


def read_who(folder: Path) -> Who | None:
    """Return who the settings file in the folder is for, None without one; raises ValueError for a bad file."""
    file = folder / satellite_file.FILE
    if not file.exists():
        return None
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
        return Who(str(content["site"]), str(content["name"]))
    except (KeyError, ValueError) as error:
        raise ValueError(f"{file}: {error}") from error


def keep_config(folder: Path, who: Who, uplink: str, sources: Callable[[], str]) -> None:
    """Write satellite.toml into the folder unless it is there, then only its line of uplinks; sources makes tables."""
    file = folder / satellite_file.FILE
    line = f"{satellite_file.uplinks_line([uplink])}  # follows nephoscope up"
    if file.exists():
        before = file.read_text(encoding="utf-8")
        text = _UPLINKS.sub(line, before)
        if text == before:
            return
    else:
        text = f"{_NOTE}{satellite_file.text(who.site, who.name, line, sources())}"
    fresh = file.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.rename(file)


def find_sources(say: Callable[[str], None]) -> str:
    """Return the sources of this machine as TOML, saying what is left out and which package it needs."""
    sources = satellite_file.MACHINE
    uri = libvirt_uri()
    if uri is None:
        return sources
    if find_spec("libvirt") is None:
        say(
            f"libvirt is here ({uri}) but left out, since its Python binding is missing:"
            " apt-get install libvirt-dev pkg-config gcc python3-dev, then pip install 'nephoscope[libvirt]'"
        )
        return sources
    return f'{sources}\n[sources.libvirt]\ncollector = "libvirt"\nuri = "{uri}"\n'


def libvirt_uri() -> str | None:
    """Return the libvirt of this machine that we may talk to, or None."""
    if os.access(_SYSTEM_SOCKET, os.R_OK | os.W_OK):
        return "qemu:///system"
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and (Path(runtime) / "libvirt" / "libvirt-sock").exists():
        return "qemu:///session"
    return None


_NOTE: Final = """\
# The satellite that nephoscope up runs on this machine. The file is yours: nephoscope up reads it, and changes only the
# line that says so. After editing: nephoscope satellite check --config FILE, then start up again.
"""
