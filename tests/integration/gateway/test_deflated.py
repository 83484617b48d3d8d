"""Messages that shrink are deflated between satellite and gateway: bytes are counted on the wire, bombs are refused."""

import asyncio
import zlib
from pathlib import Path

import grpc
import pytest
from fixtures.connect_proxy import connect_proxy
from fixtures.estate import estate
from fixtures.gateway import Client, Place, SessionOverError, batch, channel, connected, gateway, session
from fixtures.stack import stack, start_gateway
from fixtures.waiting import wait_until

from metaconsole.gateway import greeting, inflating
from metaconsole.store.database import connect
from satellite.channels import secure_channels
from satellite.clock import SystemClock
from satellite.inventory import InventoryTracker
from satellite.spool import Spool
from satellite.uplink import Callbacks, SessionState, Uplink
from shared.pb import inventory_pb2, telemetry_pb2, uplink_pb2, uplink_pb2_grpc

GUESTS = 1_000
NOW_MS = SystemClock().now_ms()
BOMB = 128 * 1024 * 1024
ROOM = BOMB // 2  # that a gateway may grow by while a bomb is thrown at it


def inventory() -> inventory_pb2.InventoryDelta:
    (delta,) = InventoryTracker("estate").update(estate(GUESTS), NOW_MS)
    return delta


def test_an_inventory_of_1000_guests_takes_less_than_a_quarter_of_its_bytes(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    delta = inventory()
    deflated = asyncio.run(sent(place, "new", delta))
    monkeypatch.setattr(greeting, "PROTOCOL", (1, 0))  # a metaconsole that does not know of deflating
    plain = asyncio.run(sent(place, "old", delta))
    assert plain > delta.ByteSize()
    assert 0 < deflated < delta.ByteSize() / 4, f"{deflated} bytes on the wire for {delta.ByteSize()}"
    with connect(place.settings.database_url) as connection:
        payloads = [bytes(row[0]) for row in connection.execute("SELECT payload FROM log ORDER BY ordinal").fetchall()]
    assert [inventory_pb2.InventoryDelta.FromString(payload) for payload in payloads] == [delta, delta]


async def sent(place: Place, name: str, delta: inventory_pb2.InventoryDelta) -> int:
    """Let a real uplink deliver an inventory, and return how many bytes it sent, handshake and heartbeat included."""
    folder = place.certificates()
    files = [folder / name for name in ("satellite.pem", "satellite.key", "trust.pem")]
    spool = Spool(place.folder / name, lambda: NOW_MS)
    try:
        await spool.append(uplink_pb2.Frame(inventory=delta))
        async with gateway(place) as port, connect_proxy() as proxy:
            one, other, trust = (file.read_bytes() for file in files)
            channels = secure_channels(lambda: (one, other, trust), proxy.url)
            state = SessionState(place.folder / name / "session.json")
            uplink = Uplink(
                spool, [f"127.0.0.1:{port}"], channels, state,
                Callbacks(uplink_pb2.Heartbeat, lambda: None), SystemClock(),
            )  # fmt: skip
            task = asyncio.create_task(uplink.run())
            await wait_until(lambda: not spool.depth().frames, 20, f"the inventory is taken: {uplink.message}")
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return proxy.sent
    finally:
        await spool.close()


@pytest.mark.parametrize(
    ("data", "code", "sentence"),
    [
        (b"no zlib", grpc.StatusCode.INVALID_ARGUMENT, "can't be inflated"),
        (zlib.compress(b"\xff" * 100), grpc.StatusCode.INVALID_ARGUMENT, "can't be read"),
        (zlib.compress(b"")[:-1], grpc.StatusCode.INVALID_ARGUMENT, "ends too early"),
        (zlib.compress(b"") + b"more", grpc.StatusCode.INVALID_ARGUMENT, "something follows it"),
        (zlib.compress(bytes(inflating.LIMIT + 1)), grpc.StatusCode.RESOURCE_EXHAUSTED, "this one has more"),
        (
            zlib.compress(uplink_pb2.SatelliteMessage(deflated=zlib.compress(b"")).SerializeToString()),
            grpc.StatusCode.INVALID_ARGUMENT,
            "another one",
        ),
        (
            zlib.compress(uplink_pb2.SatelliteMessage(hello=uplink_pb2.Hello()).SerializeToString()),
            grpc.StatusCode.INVALID_ARGUMENT,
            "one greeting",
        ),
    ],
)
def test_what_is_no_deflated_message_ends_the_session(
    place: Place, data: bytes, code: grpc.StatusCode, sentence: str
) -> None:
    async def scenario() -> SessionOverError:
        async with connected(place) as client:
            await client.hello()
            await client.send(deflated=data)
            with pytest.raises(SessionOverError) as over:
                await client.ack()
            return over.value

    over = asyncio.run(scenario())
    assert over.code is code
    assert sentence in over.details


def test_definitions_and_batches_are_taken_deflated_in_their_order(place: Place) -> None:
    async def scenario() -> list[tuple[int, int]]:
        async with connected(place) as client:
            await client.hello()
            definition = telemetry_pb2.SeriesDefinition(
                id=1,
                resource=telemetry_pb2.ResourceRef(source="machine", kind="host", key="h1"),
                metric="hw.temperature",
            )
            series = telemetry_pb2.SeriesDefinitions(epoch=client.epoch.bytes, definitions=[definition])
            one = batch([1], [0.5])
            one.blocks[0].metric = definition.metric
            frame = uplink_pb2.Frame(epoch=client.epoch.bytes, sequence=1, lane=uplink_pb2.LANE_LIVE, batch=one)
            for message in (uplink_pb2.SatelliteMessage(series=series), uplink_pb2.SatelliteMessage(frame=frame)):
                await client.send(deflated=zlib.compress(message.SerializeToString()))
            ack = await client.ack()
            assert not ack.refused, ack
            return [(part.first, part.last) for part in ack.taken]

    assert asyncio.run(scenario()) == [(1, 1)]


def test_bombs_cost_their_session_alone_and_the_gateways_memory_stays_bounded(tmp_path: Path) -> None:
    with stack(tmp_path) as made:
        friend, foe = (made.satellite(name, {}).parent for name in ("friend", "foe"))
        process = start_gateway(made)

        async def scenario() -> None:
            async with channel(made.port, friend, friend / "trust.pem") as opened, session(opened) as client:
                await client.hello()
                await client.define(1)
                await client.frame(1, batch=batch([1], [0.5]))
                await client.ack()
                before = peak(process.pid)
                bomb = uplink_pb2.SatelliteMessage(deflated=zlib.compress(bytes(BOMB), 9))
                assert bomb.ByteSize() < BOMB / 500
                for _ in range(3):
                    assert await thrown(made.port, foe, bomb, None) is grpc.StatusCode.RESOURCE_EXHAUSTED
                # The same with gRPC's own compression, which the transport would undo before anybody looks.
                plain = uplink_pb2.SatelliteMessage(deflated=bytes(BOMB))
                for _ in range(3):
                    code = await thrown(made.port, foe, plain, grpc.Compression.Gzip)
                    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
                assert peak(process.pid) - before < ROOM
                await client.frame(2, batch=batch([1], [0.5]))
                assert not (await client.ack()).refused

        asyncio.run(scenario())


async def thrown(
    port: int, folder: Path, bomb: uplink_pb2.SatelliteMessage, compression: grpc.Compression | None
) -> grpc.StatusCode:
    """Greet, send a message, and return how the session ends."""
    async with channel(port, folder, folder / "trust.pem") as opened:
        call = uplink_pb2_grpc.UplinkStub(opened).Session(compression=compression)  # type: ignore[no-untyped-call]
        client = Client(call)
        await client.hello(session_counter=SystemClock().now_ms())
        await call.write(bomb)
        with pytest.raises(SessionOverError) as over:
            await client.ack()
        return over.value.code


def peak(pid: int) -> int:
    """Return the most memory that a process has had, in bytes."""
    line = next(
        line for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines() if "VmHWM" in line
    )
    return int(line.split()[1]) * 1024
