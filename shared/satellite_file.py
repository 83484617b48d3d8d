"""The text of a satellite.toml, as `join`, `up` and `issue-satellite` write it, and the files that it names.

The one promise: what is written here is what satellite/config.py reads.
"""

from pathlib import Path
from typing import Final

FILE: Final = "satellite.toml"
CERTIFICATE: Final = "satellite.pem"
KEY: Final = "satellite.key"
TRUST: Final = "trust.pem"
# The source that every satellite can have: the machine that it runs on.
MACHINE: Final = '[sources.machine]\ncollector = "host"\ninterval = 10\n'


def uplinks_line(addresses: list[str]) -> str:
    """Return the line that names where the metaconsole is, in order of preference."""
    quoted = ", ".join(f'"{address}"' for address in addresses)
    return f"uplinks = [{quoted}]"


def text(site: str, name: str, line: str, sources: str = MACHINE, proxy: str = "", server_name: str = "") -> str:
    """Return the file with this line of uplinks and these tables of sources."""
    through = f'proxy = "{proxy}"\n' if proxy else ""
    through += f'server_name = "{server_name}"\n' if server_name else ""
    return (
        f'site = "{site}"\nname = "{name}"\n{line}\n{through}'
        f'certificate = "{CERTIFICATE}"\nkey = "{KEY}"\ntrust = "{TRUST}"\nstate = "state"\n\n{sources}'
    )


def certificate_files(folder: Path) -> tuple[Path, Path, Path]:
    """Return certificate, key and trust of a folder."""
    return folder / CERTIFICATE, folder / KEY, folder / TRUST
