"""Satellites of the light sessions: thousands of rows and certificates, and one file that tells a process of its own.

The state is the one after each satellite has been connected before: its epoch's series are known to the database. All
of them report the same guests of one site, so that preparing 5,000 times 2,000 series takes seconds.
"""

import asyncio
import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from fixtures.stack import SITE, Stack

from bench import frames, mix
from metaconsole import pki
from metaconsole.store.database import connect, connect_async
from metaconsole.store.definitions import Definition
from metaconsole.store.epochs import Offer, register
from metaconsole.store.series import define_series, register_metrics
from metaconsole.store.sites import ensure_site
from shared.model import Kind
from shared.tls import SatelliteIdentity

_SATELLITES = """
INSERT INTO satellite (site_id, name) SELECT %(site)s, 'session-' || number FROM generate_series(1, %(count)s) AS number
RETURNING satellite_id
"""
_EPOCHS = """
INSERT INTO epoch (site_id, satellite_id, epoch, series_through)
SELECT site_id, copy.satellite_id, copy.epoch, series_through
FROM epoch, unnest(%(satellites)s::uuid[], %(epochs)s::uuid[]) AS copy (satellite_id, epoch)
WHERE epoch.site_id = %(site)s AND epoch.satellite_id = %(first)s
"""
_SERIES = """
INSERT INTO epoch_series (site_id, satellite_id, epoch, first_id, series_ids, metric_ids, source_ids)
SELECT site_id, copy.satellite_id, copy.epoch, first_id, series_ids, metric_ids, source_ids
FROM epoch_series, unnest(%(satellites)s::uuid[], %(epochs)s::uuid[]) AS copy (satellite_id, epoch)
WHERE epoch_series.site_id = %(site)s AND epoch_series.satellite_id = %(first)s
"""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one session needs; epoch in hexadecimal, certificate and key as PEM."""

    epoch: str
    certificate: str
    key: str


def write(path: Path, members: Sequence[Credentials], trust: str) -> None:
    """Write the file of one process."""
    path.touch(mode=0o600)
    path.write_text(json.dumps({"trust": trust, "sessions": [asdict(member) for member in members]}), encoding="utf-8")


def read(path: Path) -> tuple[list[Credentials], str]:
    """Return what was written: the sessions, and the authority's certificate."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return [Credentials(**member) for member in content["sessions"]], content["trust"]


def prepare(made: Stack, count: int, guests: int) -> list[Credentials]:
    """Register so many satellites that know the series of so many guests, and issue their certificates."""
    with connect(made.database.url) as connection:
        site_id = ensure_site(connection, SITE)
        rows = connection.execute(_SATELLITES, {"site": site_id, "count": count}).fetchall()
    satellites, epochs = [row[0] for row in rows], [uuid.uuid4() for _ in rows]
    asyncio.run(_define(made.database.url, SatelliteIdentity(site_id, satellites[0]), epochs[0], guests))
    others = {"site": site_id, "first": satellites[0], "satellites": satellites[1:], "epochs": epochs[1:]}
    with psycopg.connect(made.database.url) as connection:
        connection.execute(_EPOCHS, others)
        connection.execute(_SERIES, others)
    authority, now = pki.open_authority(made.pki, datetime.now(UTC)), datetime.now(UTC)
    identities = [SatelliteIdentity(site_id, satellite) for satellite in satellites]
    pairs = [pki.satellite_pair(authority, identity, now) for identity in identities]
    return [
        Credentials(epoch.hex, certificate.decode(), key.decode())
        for epoch, (certificate, key) in zip(epochs, pairs, strict=True)
    ]


async def _define(url: str, first: SatelliteIdentity, epoch: uuid.UUID, guests: int) -> None:
    who = (first.site_id, first.satellite_id)
    connection = await connect_async(url)
    try:
        metrics = await register_metrics(connection, list(mix.METRICS))
        await register(connection, *who, epoch, [Offer(epoch, [], 1)])
        definitions = [
            Definition(frames.SOURCE, Kind.GUEST.value, key, metrics[metric], ())
            for metric, key in frames.series(guests)
        ]
        await define_series(connection, *who, epoch, 1, definitions)
    finally:
        await connection.close()
