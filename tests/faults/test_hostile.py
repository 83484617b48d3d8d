"""Who is let in by a certificate may still be hostile: what a satellite sends costs itself, and nobody else.

The gateway is the product's process. While somebody attacks, an honest satellite of it goes on; in the end what that
one produced is stored, each frame once, the gateway is the same process, and its memory has stayed within bounds.
"""

import asyncio
import contextlib
import random
import socket
import ssl
import string
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
import pytest
from fixtures.gateway import METRIC, Client, SessionOverError, batch, channel, inventory, session
from fixtures.stack import stack, start_gateway
from fixtures.waiting import wait_until

from faults.hostile_frames import ANSI, FRAMES, MIB
from faults.hostile_target import Target, attacked, hostile, nothing
from metaconsole.store.database import connect
from satellite.clock import SystemClock
from shared.pairs import load_pair
from shared.pb import telemetry_pb2, uplink_pb2
from shared.tls import METACONSOLE_NAME, SatelliteIdentity

LAST, ENDLESS = 2**62 - 1, 2**64 - 1
INVALID, DENIED = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED
EXHAUSTED, UNAVAILABLE = grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE
UNKNOWN_MEMBER: Final = b"\xfa\x7f\x03abc"  # field 2047, which no version of the contract has


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with stack(tmp_path_factory.mktemp("hostile")) as made:
        gateway = start_gateway(made)
        found = Target(made, gateway, gateway.pid)
        asyncio.run(attacked(found, nothing))
        found.began_kib = found.most_kib()
        yield found


def test_each_bad_frame_is_refused_alone_told_why_and_counted(target: Target) -> None:
    identity = target.satellite()
    acks: list[uplink_pb2.Ack] = []

    async def attack() -> None:
        async with hostile(target, target.certified(identity)) as client:
            await client.hello()
            await client.define(2)
            for sequence, (content, _, _) in enumerate(FRAMES.values(), 1):
                await client.frame(sequence, **content())
                acks.extend(await client.acks(1))
            # The last number that there is, and the same number again with something else in it.
            await client.frame(LAST, batch=batch([1, 2], [0.5, 0.25]))
            acks.extend(await client.acks(1))
            await client.frame(LAST, batch=batch([1, 2], [0.75, 0.125]))
            acks.extend(await client.acks(1))

    asyncio.run(attacked(target, attack))
    told = {refusal.sequence: (refusal.reason, refusal.detail) for ack in acks for refusal in ack.refused}
    for sequence, (name, (_, reason, part)) in enumerate(FRAMES.items(), 1):
        assert told[sequence][0] == reason, (name, told[sequence])
        assert part in told[sequence][1], (name, told[sequence])
    assert [(part.first, part.last) for ack in acks for part in ack.replayed] == [(LAST, LAST)]
    who = identity.satellite_id
    assert target.rows("SELECT sequence, samples FROM log WHERE satellite_id = %s AND kind = 1", who) == [(LAST, 2)]
    gaps = target.rows("SELECT sequence FROM log WHERE satellite_id = %s AND kind = 4 ORDER BY ordinal", who)
    assert gaps == [(sequence,) for sequence in range(1, len(FRAMES) + 1)]
    kept = "SELECT sequence, reason, octet_length(content) <= 65536 FROM quarantine WHERE satellite_id = %s ORDER BY 1"
    reasons = [(sequence, reason, True) for sequence, (_, reason, _) in enumerate(FRAMES.values(), 1)]
    assert target.rows(kept, who) == reasons


# ---- messages that end a session, with the status and the sentence that the satellite gets

Act = Callable[[Client], Awaitable[Any]]


def raw(content: bytes) -> Act:
    return lambda client: client.call.write(content)


def invalid_utf8() -> bytes:
    frame = uplink_pb2.Frame(epoch=b"e" * 16, sequence=1, inventory=inventory("k" * 9, "n"))
    return uplink_pb2.SatelliteMessage(frame=frame).SerializeToString().replace(b"k" * 9, b"\xff" * 9)


def dropped(first: int, last: int) -> Act:
    async def act(client: Client) -> None:
        part = uplink_pb2.SequenceRange(first=first, last=last)
        await client.send(dropped=uplink_pb2.Dropped(epoch=client.epoch.bytes, range=part))

    return act


def numbered(sequence: int) -> Act:
    return lambda client: client.frame(sequence, batch=batch([1], [0.1]))


async def of_another_epoch(client: Client) -> None:
    client.epoch = uuid.uuid4()
    await client.frame(1, batch=batch([1], [0.1]))


async def full_of_holes(client: Client) -> None:
    """Take every other number, until somebody minds."""
    with contextlib.suppress(asyncio.InvalidStateError):  # a call that is over is not written to
        for number in range(10_100):
            await dropped(2 * number + 1, 2 * number + 1)(client)


async def definitions_that_jump(client: Client) -> None:
    await client.define(1, first=ENDLESS)


async def a_million_sources(client: Client) -> None:
    await client.send(heartbeat=uplink_pb2.Heartbeat(sources=[uplink_pb2.SourceStatus(source="s" * 9)] * 1_000_000))


SESSIONS: Final[dict[str, tuple[Act, grpc.StatusCode, str]]] = {
    "garbage": (raw(b"\xff" * 100), INVALID, "can't be read"),
    "a torn message": (raw(uplink_pb2.SatelliteMessage(frame={"epoch": b"e" * 16}).SerializeToString()[:-3]), INVALID,
                       "can't be read"),
    "invalid UTF-8": (raw(invalid_utf8()), INVALID, "can't be read"),
    "20,000 levels": (raw(b"\x0b" * 20_000), INVALID, "can't be read"),
    "9 MiB": (raw(bytes(9 * MIB)), EXHAUSTED, "larger than max"),
    "a heartbeat of a million sources": (a_million_sources, EXHAUSTED, "larger than max"),
    "sequence 0": (numbered(0), INVALID, "sequence 0 is outside"),
    "sequence 2^62": (numbered(LAST + 1), INVALID, "outside 1 to 2^62 - 1"),
    "sequence 2^64 - 1": (numbered(ENDLESS), INVALID, "outside 1 to 2^62 - 1"),
    "an epoch that was not offered": (of_another_epoch, INVALID, "was not offered"),
    "half an epoch": (lambda client: client.send(frame=uplink_pb2.Frame(epoch=b"e", sequence=1)), INVALID, "16 bytes"),
    "a dropped range from 0": (dropped(0, 5), INVALID, "not within 1 to 2^62 - 1"),
    "a dropped range without end": (dropped(1, ENDLESS), INVALID, "not within 1 to 2^62 - 1"),
    "a dropped range backwards": (dropped(9, 3), INVALID, "not within 1 to 2^62 - 1"),
    "a sequence full of holes": (full_of_holes, INVALID, "more than 10000 holes"),
    "definitions that jump": (definitions_that_jump, INVALID, "the next one is 3"),
    "a second greeting": (lambda client: client.send(hello=uplink_pb2.Hello()), INVALID, "one greeting"),
}  # fmt: skip


@pytest.mark.parametrize(("act", "code", "sentence"), SESSIONS.values(), ids=SESSIONS)
def test_each_message_that_can_not_be_ends_its_own_session_with_a_sentence(
    target: Target, act: Act, code: grpc.StatusCode, sentence: str
) -> None:
    identity = target.satellite()

    async def attack() -> None:
        async with hostile(target, target.certified(identity)) as client:
            await client.hello()
            await client.define(2)
            await client.frame(2**61, batch=batch([1], [0.5]))
            await client.acks(1)
            over = await ended(client, act)
        assert over.code is code, over.details
        assert sentence in over.details

    asyncio.run(attacked(target, attack))
    stored = "SELECT count(*) FROM log WHERE satellite_id = %s AND kind = 1"
    assert target.rows(stored, identity.satellite_id) == [(1,)]
    assert "Traceback" not in target.gateway.tail()


async def ended(client: Client, act: Act) -> SessionOverError:
    """Act, and read until the session ends."""
    try:
        await act(client)
        while True:
            await client.read()
    except grpc.aio.AioRpcError as error:
        return SessionOverError(error.code(), error.details() or "")
    except SessionOverError as error:
        return error


# ---- greetings that are refused


def ranges(*edges: int) -> list[uplink_pb2.SequenceRange]:
    return [
        uplink_pb2.SequenceRange(first=first, last=last) for first, last in zip(edges[::2], edges[1::2], strict=True)
    ]


def offers(count: int, **fields: Any) -> dict[str, Any]:
    return {"epochs": [uplink_pb2.EpochOffer(epoch=uuid.uuid4().bytes, **fields) for _ in range(count)]}


GREETINGS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "another contract": ({"protocol_major": 2**32 - 1}, "upgrade the metaconsole"),
    "half an epoch": ({"epoch": b"short"}, "16 bytes"),
    "epochs without end": (offers(1_001), "at most 1000 epochs"),
    "ranges without end": (offers(1, unsent=ranges(*range(1, 40_003))), "at most 1000 epochs and 20000 ranges"),
    "ranges from 0": (offers(1, unsent=ranges(0, 4)), "within 1 to 2^62 - 1"),
    "ranges to 2^64 - 1": (offers(1, unsent=ranges(1, ENDLESS)), "within 1 to 2^62 - 1"),
    "ranges that overlap": (offers(1, unsent=ranges(1, 5, 5, 9)), "disjoint"),
    "a next number of 2^64 - 1": (offers(1, next_sequence=ENDLESS), "within 1 to 2^62 - 1"),
    "a nonce of 100 kB": ({"process_nonce": bytes(100_000)}, "at most 16 bytes"),
    "a hash of 100 kB": ({"trust_sha256": bytes(100_000)}, "32 of hash"),
}


@pytest.mark.parametrize(("fields", "sentence"), GREETINGS.values(), ids=GREETINGS)
def test_each_greeting_that_can_not_be_is_refused_with_a_sentence(
    target: Target, fields: dict[str, Any], sentence: str
) -> None:
    identity = target.satellite()

    async def attack() -> None:
        async with hostile(target, target.certified(identity)) as client:
            with pytest.raises(SessionOverError) as over:
                await client.hello(**fields)
        assert over.value.code is INVALID
        assert sentence in over.value.details

    asyncio.run(attacked(target, attack))
    who = identity.satellite_id
    assert target.rows("SELECT session FROM satellite WHERE satellite_id = %s", who) == [(0,)]
    assert target.rows("SELECT count(*) FROM epoch WHERE satellite_id = %s", who) == [(0,)]


# ---- what is borne: the session goes on, and what is kept of it is bounded


async def strange_heartbeat(client: Client) -> None:
    source = uplink_pb2.SourceStatus(
        source=ANSI + "\0", message="m" * 10_000, calls=ENDLESS, cycle_seconds=float("nan"), last_success_ms=2**63 - 1
    )
    # Its clocks are as they should be: what is said of those has a meaning, by which its own frames are judged.
    beat = uplink_pb2.Heartbeat(
        now_ms=SystemClock().now_ms(), spool_frames=ENDLESS, spool_bytes=ENDLESS, rss_bytes=float("inf"),
        sources=[source] * 700,
    )  # fmt: skip
    beat.sources.extend([uplink_pb2.SourceStatus()] * 500_000)
    await client.send(heartbeat=beat)


def defining(count: int, **fields: Any) -> Act:
    """Define series 3 and after, each with fields replaced."""

    async def act(client: Client) -> None:
        plain: dict[str, Any] = {
            "metric": METRIC,
            "resource": telemetry_pb2.ResourceRef(source="machine", kind="host", key="h9"),
        }
        definitions = [telemetry_pb2.SeriesDefinition(id=3 + n, **(plain | fields)) for n in range(count)]
        await client.send(series=telemetry_pb2.SeriesDefinitions(epoch=client.epoch.bytes, definitions=definitions))
        # A definition that is refused keeps its id; samples of it are refused, and counted.
        await client.frame(2, batch=batch([3], [0.1]))
        (ack,) = await client.acks(1)
        assert [refusal.reason for refusal in ack.refused] == ["unknown_metric"], ack

    return act


def attributes(count: int, length: int) -> dict[str, str]:
    """Return attributes that can't be compressed."""
    draw = random.Random(20261125)
    return {f"a{n}": "".join(draw.choices(string.ascii_letters, k=length)) for n in range(count)}


def keyed(**fields: str) -> telemetry_pb2.ResourceRef:
    return telemetry_pb2.ResourceRef(**({"source": "machine", "kind": "host", "key": "h9"} | fields))


BORNE: Final[dict[str, Act]] = {
    "an empty message": raw(b""),
    "a message to come": raw(UNKNOWN_MEMBER),
    "a frame with a field to come": raw(UNKNOWN_MEMBER * 10_000),
    "a heartbeat of half a million sources": strange_heartbeat,
    "a metric of nobody": defining(1, metric=ANSI),
    "a kind of nobody": defining(1, resource=keyed(kind="demon")),
    "a source of 100 kB": defining(1, resource=keyed(source="s" * 100_000)),
    "a key of NUL": defining(1, resource=keyed(key="\0")),
    "attributes without end": defining(1, attributes=attributes(17, 5)),
    "attributes that no index takes": defining(1, attributes=attributes(16, 400)),
    "50,000 definitions of nothing": defining(50_000, metric="no.such.metric"),
}


@pytest.mark.parametrize("act", BORNE.values(), ids=BORNE)
def test_what_means_nothing_here_costs_nothing_and_the_session_goes_on(target: Target, act: Act) -> None:
    identity = target.satellite()

    async def attack() -> None:
        async with hostile(target, target.certified(identity)) as client:
            await client.hello(version=ANSI * 1_000 + "\0", now_ms=2**63 - 1, capabilities=["c" * 1_000] * 1_000)
            await client.define(2)
            await act(client)
            await client.frame(3, batch=batch([1, 2], [0.5, 0.25]))
            (ack,) = await client.acks(1)
            assert not ack.refused, ack
            await wait_until(lambda: beaten(target, identity, act), 10, "the heartbeat is kept")

    asyncio.run(attacked(target, attack))
    who = identity.satellite_id
    assert target.rows("SELECT sequence FROM log WHERE satellite_id = %s AND kind = 1", who) == [(3,)]
    assert target.rows("SELECT count(*) FROM source WHERE name LIKE 's%%'") == [(0,)]
    assert target.gateway.said("store.lost") == 0, "an outage was told of that is none"
    assert ANSI[:4] not in target.gateway.log.read_text(encoding="utf-8")


def beaten(target: Target, identity: SatelliteIdentity, act: Act) -> bool:
    """Tell whether the strange heartbeat is kept, where it was sent: and bounded."""
    if act is not strange_heartbeat:
        return True
    statement = "SELECT heartbeat FROM satellite_liveness WHERE satellite_id = %s"
    ((heartbeat,),) = target.rows(statement, identity.satellite_id) or [({},)]
    if not heartbeat:
        return False
    assert (heartbeat["spool_frames"], heartbeat["rss_bytes"], len(heartbeat["sources"])) == (ENDLESS, None, 1_000)
    assert len(heartbeat["sources"][0]["message"]) == 1_000
    return True


# ---- what is meant to fill the memory


async def bomb(target: Target) -> None:
    """Send 64 MiB of zeros as 64 KiB."""
    async with hostile(target, target.certified(target.satellite()), packed=True) as client:
        await client.hello()
        over = await ended(client, raw(bytes(64 * MIB)))
    assert over.code is EXHAUSTED, over.details


async def never_reads(target: Target) -> None:
    """Send 240 frames of almost 4 MiB each, and read nothing."""
    identity = target.satellite()
    async with hostile(target, target.certified(identity)) as client:
        await client.hello()
        await client.define(2)
        made = batch([1, 2], [0.1, 0.2])
        made.blocks[0].metric = "no.such.metric" + "x" * (4 * MIB - 1_000)
        for sequence in range(1, 241):
            await client.frame(sequence, batch=made)

        def stored() -> bool:
            (row,) = target.rows("SELECT count(*) FROM log WHERE satellite_id = %s", identity.satellite_id)
            return bool(row[0] == 240)

        await wait_until(stored, 30, "all of it is refused, and counted")


async def many_sessions(target: Target) -> None:
    """Open 40 sessions at once, and greet in none of them."""
    folder = target.certified(target.satellite())
    async with contextlib.AsyncExitStack() as opened:
        clients = [await opened.enter_async_context(hostile(target, folder)) for _ in range(40)]
        reading = [asyncio.create_task(client.read()) for client in clients]
        await wait_until(lambda: sum(task.done() for task in reading) >= 32, 5, "all but eight are sent away")
        for task in reading:
            if task.done():
                with pytest.raises(SessionOverError, match="has 8 sessions open here"):
                    await task
            else:
                task.cancel()


async def noise(target: Target) -> None:
    """Connect without TLS, and with it but without HTTP/2, and send what means nothing."""
    folder = target.certified(target.satellite())
    context = ssl.create_default_context(cafile=str(folder / "trust.pem"))
    context.load_cert_chain(folder / "satellite.pem", folder / "satellite.key")
    context.set_alpn_protocols(["h2"])

    def speak(secure: bool, content: bytes) -> None:
        line = socket.create_connection(("127.0.0.1", target.made.port), timeout=10)
        with context.wrap_socket(line, server_hostname=METACONSOLE_NAME) if secure else line as line:
            line.sendall(content)
            with contextlib.suppress(ConnectionError):
                while line.recv(65_536):
                    pass

    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    for secure, content in (
        (False, b"\xff" * 4_000),
        (True, b"GET / HTTP/1.1\r\n\r\n"),
        (True, preface + b"\xff" * 999),
    ):
        await asyncio.to_thread(speak, secure, content)


@pytest.mark.parametrize("attack", [bomb, never_reads, many_sessions, noise])
def test_what_is_meant_to_fill_the_memory_does_not(target: Target, attack: Callable[[Target], Awaitable[None]]) -> None:
    asyncio.run(attacked(target, lambda: attack(target)))


# ---- certificates


def expired(target: Target) -> Path:
    return target.certified(target.satellite(), days=-31)


def not_yet_valid(target: Target) -> Path:
    return target.certified(target.satellite(), days=2)


def of_a_foreign_authority(target: Target) -> Path:
    foreign = target.made.folder / "foreign"
    foreign.mkdir()
    return target.certified(target.satellite(), authority=foreign)


def none_at_all(target: Target) -> None:
    return None


def the_gateways_own(target: Target) -> Path:
    """Return what whoever steals a gateway's certificate has."""
    return target.folder(load_pair(target.made.pki / "gateway.pem", target.made.pki / "gateway.key"))


def the_authoritys_own(target: Target) -> Path:
    return target.folder(load_pair(target.made.pki / "ca.pem", target.made.pki / "ca.key"))


def of_nobody(target: Target) -> Path:
    return target.certified(SatelliteIdentity(target.satellite().site_id, uuid.uuid4()))


def of_another_site(target: Target) -> Path:
    return target.certified(SatelliteIdentity(4711, target.satellite().satellite_id))


def revoked(target: Target) -> Path:
    identity = target.satellite()
    with connect(target.made.database.url) as connection:
        connection.execute("UPDATE satellite SET revoked_at = now() WHERE satellite_id = %s", [identity.satellite_id])
    return target.certified(identity)


# Whom the handshake turns away hears nothing else: a satellite looks at its own certificate and says what is wrong.
CERTIFICATES: Final[list[tuple[Callable[[Target], Path | None], grpc.StatusCode, str]]] = [
    (expired, UNAVAILABLE, ""),
    (not_yet_valid, UNAVAILABLE, ""),
    (of_a_foreign_authority, UNAVAILABLE, ""),
    (none_at_all, UNAVAILABLE, ""),
    (the_gateways_own, UNAVAILABLE, ""),
    (the_authoritys_own, UNAVAILABLE, ""),
    (of_nobody, DENIED, "is not known here: join again with a new token"),
    (of_another_site, DENIED, "of site 4711 is not known here"),
    (revoked, DENIED, "was revoked on"),
]


@pytest.mark.parametrize(("make", "code", "sentence"), CERTIFICATES, ids=[case[0].__name__ for case in CERTIFICATES])
def test_no_other_certificate_gets_in(
    target: Target, make: Callable[[Target], Path | None], code: grpc.StatusCode, sentence: str
) -> None:
    before = target.rows("SELECT sum(session), count(*) FROM satellite WHERE session = 0")
    folder = make(target)

    async def attack() -> None:
        trust = target.made.pki / "ca.pem"
        async with channel(target.made.port, folder, trust) as opened, session(opened) as client:
            over = await ended(client, lambda client: client.hello())
        assert over.code is code, over.details
        assert sentence in over.details

    asyncio.run(attacked(target, attack))
    after = target.rows("SELECT sum(session), count(*) FROM satellite WHERE session = 0")
    assert after[0][0] == before[0][0] == 0 or before[0][0] is None
