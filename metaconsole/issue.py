"""A ready folder for a satellite elsewhere: offline enrolment.

The promise: the folder holds all that the satellite needs, private to its owner, and nothing of it is kept here.
"""

from datetime import UTC, datetime
from pathlib import Path

from metaconsole import pki
from metaconsole.home import Home
from metaconsole.store import enrolment, sites
from metaconsole.store.pool import connect
from shared import satellite_file
from shared.addresses import split
from shared.tls import SatelliteIdentity


def issue(home: Home, database_url: str, site: str, name: str, uplink: str, out: Path) -> None:
    """Register the satellite and write its folder; raises ValueError for bad names and a folder that is in use."""
    split(uplink)
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty: name a folder that does not exist yet")
    with connect(database_url) as connection:
        site_id = sites.ensure_site(connection, site)
        identity = SatelliteIdentity(site_id, sites.ensure_satellite(connection, site_id, name))
        generation = enrolment.generation_of(connection, identity)
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    pki.renew_satellite(home.pki, out, identity, datetime.now(UTC), generation)
    text = satellite_file.text(site, name, satellite_file.uplinks_line([uplink]))
    (out / satellite_file.FILE).write_text(text, encoding="utf-8")
