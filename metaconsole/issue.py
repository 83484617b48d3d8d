"""A ready folder for a satellite elsewhere: offline enrolment.

The promise: the folder holds all that the satellite needs, private to its owner, and nothing of it is kept here.
"""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from metaconsole import local_satellite, pki
from metaconsole.home import Home
from metaconsole.store import sites
from metaconsole.store.pool import connect
from shared.tls import SatelliteIdentity

_UPLINK: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}")


def issue(home: Home, database_url: str, site: str, name: str, uplink: str, out: Path) -> None:
    """Register the satellite and write its folder; raises ValueError for bad names and a folder that is in use."""
    if not _UPLINK.fullmatch(uplink):
        raise ValueError(f"{uplink!r} is not HOST:PORT")
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty: name a folder that does not exist yet")
    with connect(database_url) as connection:
        site_id = sites.ensure_site(connection, site)
        satellite = sites.ensure_satellite(connection, site_id, name)
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    pki.renew_satellite(home.pki, out, SatelliteIdentity(site_id, satellite), datetime.now(UTC))
    who, sources = local_satellite.Who(site, name), local_satellite.machine_source()
    text = local_satellite.config(who, f'uplinks = ["{uplink}"]', sources)
    (out / "satellite.toml").write_text(text, encoding="utf-8")
