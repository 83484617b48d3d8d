"""Create and list sites and their satellites: what the command line and `up` do before anything connects.

The one promise: asking twice for the same name returns the same site or satellite.
"""

import re
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from metaconsole.store.database import Connection
from metaconsole.store.sql import statements

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SQL: Final = statements("sites")


@dataclass(frozen=True, slots=True)
class Site:
    """A place with its own failure domain."""

    site_id: int
    name: str
    title: str


def ensure_site(connection: Connection, name: str, title: str = "") -> int:
    """Return the site of that name, created when it is missing; raises ValueError for a bad name."""
    check_name(name)
    with connection.transaction():
        connection.execute(_SQL["create_site"], {"name": name, "title": title or name})
        row = connection.execute(_SQL["find_site"], {"name": name}).fetchone()
    assert row is not None
    return int(row[0])


def ensure_satellite(connection: Connection, site_id: int, name: str) -> UUID:
    """Return the site's satellite of that name, created when it is missing; raises ValueError for a bad name."""
    check_name(name)
    with connection.transaction():
        connection.execute(_SQL["create_satellite"], {"site_id": site_id, "name": name})
        row = connection.execute(_SQL["find_satellite"], {"site_id": site_id, "name": name}).fetchone()
    assert row is not None
    found: UUID = row[0]
    return found


def list_sites(connection: Connection) -> list[Site]:
    """Return every site by name."""
    return [Site(*row) for row in connection.execute(_SQL["list_sites"]).fetchall()]


def check_name(name: str) -> None:
    """Raise ValueError for what can't be the name of a site or a satellite."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name[:80]!r} can't be a name: use 1 to 63 lower case letters, digits and hyphens, "
            "beginning with a letter or a digit"
        )
