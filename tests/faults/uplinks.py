"""Sites that speak to the real gateway over mutual TLS, as fast as it lets them: what they sent and what was taken.

The promise: a site never has more frames in flight than the gateway announced, and a refused frame ends the test.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from fixtures.gateway import Client, channel, session
from fixtures.stack import Stack
from fixtures.waiting import wait_until

from shared.columns import I64, encode
from shared.pb import telemetry_pb2 as pb
from shared.pb import uplink_pb2
from shared.tls import SatelliteIdentity


@dataclass
class Uplink:
    """One session of one site; `listen` runs beside whoever submits."""

    client: Client
    identity: SatelliteIdentity
    sent: int = 0
    taken: int = 0
    _answered: asyncio.Event = field(default_factory=asyncio.Event)

    async def submit(self, batch: pb.Batch, lane: uplink_pb2.Lane) -> int:
        """Send a batch once it may be in flight, and return its sequence."""
        while self.sent - self.taken >= self.client.welcome.limits.frames_in_flight:
            self._answered.clear()
            await self._answered.wait()
        self.sent += 1
        await self.client.frame(self.sent, lane, batch=batch)
        return self.sent

    async def listen(self) -> None:
        """Count what the gateway has taken, until cancelled."""
        while True:
            ack = await self.client.ack()
            assert not ack.refused, ack
            self.taken += sum(part.last - part.first + 1 for part in ack.taken)
            self._answered.set()


@contextlib.asynccontextmanager
async def uplink(made: Stack, folder: Path, series: int, metrics: Sequence[str]) -> AsyncIterator[Uplink]:
    """Open the session of the satellite in a folder, with so many series of each metric: of the first 1, 2 ..."""
    async with channel(made.port, folder, folder / "trust.pem") as opened, session(opened) as client:
        await client.hello()
        for place, metric in enumerate(metrics):
            await client.define(series, 1 + place * series, metric)
        yield Uplink(client, made.satellites[folder.name])


async def series_of(made: Stack, site_id: int, count: int) -> I64:
    """Return the global ids of a site's series in the order of their definitions, once all of them are there."""
    found: list[tuple[Any, ...]] = []

    def there() -> bool:
        statement = "SELECT series_id FROM series JOIN resource_key USING (site_id, resource_id) WHERE site_id = %s"
        with psycopg.connect(made.database.url) as connection:
            found[:] = connection.execute(statement + " ORDER BY substr(key, 2)::integer", (site_id,)).fetchall()
        return len(found) == count

    await wait_until(there, 10, f"the series of site {site_id} are defined")
    return np.array(found, np.int64).ravel()


def batch(times: I64, interval_ms: int, blocks: Sequence[pb.Block]) -> pb.Batch:
    """Return a batch of the source that `Client.define` names."""
    return pb.Batch(source="machine", plan="fast", interval_ms=interval_ms, times=encode(times), blocks=blocks)
