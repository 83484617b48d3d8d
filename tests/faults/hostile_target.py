"""A gateway that is attacked, and the honest satellite beside whoever attacks."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import grpc
import psycopg
from fixtures.gateway import Client, batch, channel, session
from fixtures.stack import Program, Stack
from fixtures.waiting import wait_until

from metaconsole import pki
from metaconsole.store.database import connect
from metaconsole.store.sites import ensure_satellite, ensure_site
from shared.pairs import replace_pair, write_private
from shared.pb import uplink_pb2
from shared.satellite_file import certificate_files
from shared.tls import SatelliteIdentity

MORE_MIB: Final = 200  # than it has needed before anybody attacked: the writer's queue of 64, and what is under way


@dataclass
class Target:
    """The gateway, and who speaks to it."""

    made: Stack
    gateway: Program
    pid: int
    began_kib: int = 0

    def satellite(self) -> SatelliteIdentity:
        """Register one more satellite."""
        with connect(self.made.database.url) as connection:
            site_id = ensure_site(connection, "home")
            return SatelliteIdentity(site_id, ensure_satellite(connection, site_id, f"one-{uuid.uuid4().hex[:8]}"))

    def certified(self, identity: SatelliteIdentity, authority: Path | None = None, days: int = 0) -> Path:
        """Return a folder with a satellite's certificate, of a foreign authority or of another day."""
        now = datetime.now(UTC)
        signer = pki.open_authority(authority or self.made.pki, now)
        return self.folder(pki.satellite_pair(signer, identity, now + timedelta(days=days)))

    def folder(self, pair: tuple[bytes, bytes]) -> Path:
        """Return a folder with a certificate and its key."""
        folder = self.made.folder / f"satellite-{uuid.uuid4()}"
        folder.mkdir()
        certificate, key, trust = certificate_files(folder)
        write_private(trust, pki.trust_bundle(self.made.pki))
        replace_pair(certificate, key, pair)
        return folder

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.made.database.url) as connection:
            return connection.execute(statement.encode(), values).fetchall()

    def most_kib(self) -> int:
        """Return the most memory that the gateway has ever needed."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0])


async def nothing() -> None:
    """Attack nobody."""


@contextlib.asynccontextmanager
async def hostile(target: Target, folder: Path, *, packed: bool = False) -> AsyncIterator[Client]:
    """Open a session that sends whatever it is given, bytes too."""

    def as_it_is(message: Any) -> bytes:
        return message if isinstance(message, bytes) else message.SerializeToString()

    async with channel(target.made.port, folder, folder / "trust.pem") as opened:
        stream = opened.stream_stream(
            "/nephoscope.v1.Uplink/Session",
            request_serializer=as_it_is,
            response_deserializer=uplink_pb2.MetaconsoleMessage.FromString,
        )
        call = stream(compression=grpc.Compression.Gzip if packed else None)
        try:
            yield Client(call)
        finally:
            call.cancel()


@dataclass
class Honest:
    """A satellite that sends one frame after another; value and number are the same."""

    client: Client
    sent: int = 0
    taken: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Send, and wait for the acknowledgement, until it is over."""
        while not self.over.is_set():
            self.sent += 1
            await self.client.frame(self.sent, batch=batch([1], [float(self.sent)]))
            (ack,) = await self.client.acks(1)
            assert not ack.refused, ack
            self.taken += 1
            await asyncio.sleep(0.01)


async def attacked(target: Target, attack: Callable[[], Awaitable[None]]) -> None:
    """Attack beside an honest satellite, of which all is stored once; the gateway lives, its memory is bounded."""
    folder = target.certified(target.satellite())
    async with channel(target.made.port, folder, folder / "trust.pem") as opened, session(opened) as client:
        await client.hello()
        await client.define(1)
        honest = Honest(client)
        going = asyncio.create_task(honest.run())
        await wait_until(lambda: honest.taken or going.done(), 10, "the honest one is served")
        await attack()
        after = honest.taken + 2
        await wait_until(lambda: honest.taken >= after or going.done(), 10, "the honest one is served afterwards")
        honest.over.set()
        await going
    statement = "SELECT sequence, samples, kind FROM log WHERE epoch = %s ORDER BY ordinal"
    found = target.rows(statement, client.epoch)
    assert found == [(number, 1, 1) for number in range(1, honest.sent + 1)]
    assert target.gateway.pid == target.pid
    assert target.gateway.running(), target.gateway.tail()
    if target.began_kib:
        assert (target.most_kib() - target.began_kib) / 1024 < MORE_MIB
