"""A fleet whose certificates end at the same time: a thousand satellites renew at one gateway, and sessions go on.

NEPHOSCOPE_FAULT_RENEWALS sets how many (1,000).
"""

import asyncio
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import grpc
import grpc.aio
import psycopg
import pytest
from cryptography import x509
from fixtures.stack import SITE, stack, start_gateway
from fixtures.waiting import SLACK

from faults.hostile_target import Target, attacked, nothing
from metaconsole import pki
from metaconsole.store.database import connect
from metaconsole.store.sites import ensure_site
from satellite.certificate import Request
from satellite.channels import options
from shared.certificates import read_leaf
from shared.pb import enrolment_pb2, enrolment_pb2_grpc
from shared.tls import SatelliteIdentity

RENEWALS: Final = int(os.environ.get("NEPHOSCOPE_FAULT_RENEWALS", "1000"))
AT_ONCE: Final = 100
MINUTE: Final = 60.0
FLEET: Final = """
INSERT INTO satellite (site_id, name) SELECT %s, 'fleet-' || number FROM generate_series(1, %s) AS number
RETURNING satellite_id
"""


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    with stack(tmp_path) as made:
        gateway = start_gateway(made)
        found = Target(made, gateway, gateway.pid)
        asyncio.run(attacked(found, nothing))
        found.began_kib = found.most_kib()
        yield found


def fleet(target: Target) -> list[SatelliteIdentity]:
    with connect(target.made.database.url) as connection:
        site_id = ensure_site(connection, SITE)
        rows = connection.execute(FLEET, (site_id, RENEWALS)).fetchall()
    return [SatelliteIdentity(site_id, satellite_id) for (satellite_id,) in rows]


async def renew(target: Target, pair: tuple[bytes, bytes], trust: bytes) -> enrolment_pb2.Certificate:
    """Renew as a satellite does, over a connection of its own, and check what came."""
    request = Request()
    credentials = grpc.ssl_channel_credentials(trust, pair[1], pair[0])
    # Channels of one process share connections where their options are the same.
    alone = [*options(None), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.secure_channel(f"127.0.0.1:{target.made.port}", credentials, options=alone) as channel:
        stub = enrolment_pb2_grpc.EnrolmentStub(channel)  # type: ignore[no-untyped-call]
        wanted = enrolment_pb2.RenewRequest(signing_request_der=request.der)
        answer: enrolment_pb2.Certificate = await stub.Renew(wanted, timeout=MINUTE * SLACK)
    request.accept(answer)
    return answer


def test_a_thousand_certificates_are_renewed_within_a_minute_while_sessions_go_on(target: Target) -> None:
    identities, now = fleet(target), datetime.now(UTC)
    authority, trust = pki.open_authority(target.made.pki, now), pki.trust_bundle(target.made.pki)
    pairs = [pki.satellite_pair(authority, identity, now) for identity in identities]
    answers: list[enrolment_pb2.Certificate] = []

    async def all_of_them() -> None:
        few = asyncio.Semaphore(AT_ONCE)

        async def one(pair: tuple[bytes, bytes]) -> enrolment_pb2.Certificate:
            async with few:
                return await renew(target, pair, trust)

        began = time.monotonic()
        async with asyncio.timeout(MINUTE * SLACK):
            answers.extend(await asyncio.gather(*(one(pair) for pair in pairs)))
        print(f"{len(answers)} renewals in {time.monotonic() - began:.1f} s")

    asyncio.run(attacked(target, all_of_them))
    certified = [x509.load_pem_x509_certificate(answer.certificate_pem) for answer in answers]
    assert [read_leaf(certificate).identity for certificate in certified] == identities
    assert len({certificate.serial_number for certificate in certified}) == RENEWALS
    with psycopg.connect(target.made.database.url) as connection:
        noted = connection.execute("SELECT satellite_id, certificate_until FROM satellite WHERE name LIKE 'fleet-%'")
        kept: dict[UUID, datetime] = dict(noted.fetchall())
    ends = [certificate.not_valid_after_utc for certificate in certified]
    assert kept == {identity.satellite_id: end for identity, end in zip(identities, ends, strict=True)}
