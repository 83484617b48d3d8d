"""What was produced is compared with what is stored, through a real gateway: a difference is found and repaired."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from fixtures.gateway import METRIC, Client, Place, batch, connected, gateway, make_place, read_facts, rows
from fixtures.spools import UnsyncedFiles
from fixtures.waiting import SLACK, wait_until

from metaconsole.cli_reconcile import reconcile
from metaconsole.home import DATABASE_ENVIRONMENT
from metaconsole.store.database import connect
from metaconsole.store.site_settings import set_quotas
from metaconsole.store.sites import ensure_satellite
from satellite.bounds import Bounds
from satellite.channels import secure_channels
from satellite.clock import SystemClock
from satellite.spool import Spool
from satellite.uplink import Callbacks, SessionState, Uplink
from shared.pb import telemetry_pb2 as pb
from shared.pb import uplink_pb2

SAMPLES = 3  # in a batch
CERTIFICATES = ("satellite.pem", "satellite.key", "trust.pem")
KEEPING = Bounds(keep_hours=24, ballast_bytes=0)


@pytest.fixture
def place(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv(DATABASE_ENVIRONMENT, database_url)
    monkeypatch.setattr("satellite.reconciler._LOOK_SECONDS", 0.05)
    monkeypatch.setattr("satellite.reconciler._AGAIN_SECONDS", 0.05)
    return make_place(database_url, tmp_path)


@contextlib.asynccontextmanager
async def satellite(place: Place, port: int, bounds: Bounds = KEEPING) -> AsyncIterator[Spool]:
    """Run the spool and the uplink of the satellite, always on the same folder."""
    state = place.folder / "state"
    state.mkdir(exist_ok=True)
    certificates = place.certificates()
    certificate, key, trust = ((certificates / name).read_bytes() for name in CERTIFICATES)
    spool = Spool(state, SystemClock().now_ms, UnsyncedFiles(), bounds)
    uplink = Uplink(
        spool,
        [f"127.0.0.1:{port}"],
        secure_channels(lambda: (certificate, key, trust), None),
        SessionState(state / "session.json"),
        Callbacks(lambda: uplink_pb2.Heartbeat(now_ms=1), lambda: None),
        SystemClock(),
        retry=(0.05, 0.2),
    )
    task = asyncio.create_task(uplink.run())
    try:
        yield spool
    finally:
        task.cancel()
        await asyncio.wait([task])
        await spool.close()


async def produce(spool: Spool, count: int) -> None:
    """Append batches of three samples each."""
    if not spool.current.definitions.through:
        reference = pb.ResourceRef(source="machine", kind="host")
        definitions = [pb.SeriesDefinition(id=n, resource=reference, metric=METRIC) for n in (1, 2, 3)]
        for definition in definitions:
            definition.resource.key = f"h{definition.id}"
        await spool.define(definitions)
    for number in range(count):
        await spool.append(uplink_pb2.Frame(batch=batch([1, 2, 3], [number, number + 1, number + 2])))


async def agreed(place: Place, after: str = "epoch") -> None:
    """Return when a report was compared after an instant, and nothing was missing."""
    statement = f"SELECT 1 FROM satellite WHERE reconciled_at > '{after}' AND missing_frames = 0"
    await wait_until(lambda: rows(place, statement), 10, "a report is compared, and nothing is missing")


def now(place: Place) -> str:
    """Return the database's clock."""
    return str(rows(place, "SELECT clock_timestamp()::text")[0][0])


async def change(place: Place, statement: str) -> None:
    """Change the database in a thread: the gateway, in this loop, may hold a lock that it waits for."""
    await asyncio.to_thread(rows, place, statement)


async def remove(place: Place, *ranges: tuple[int, int]) -> None:
    """Take frames out of the database by hand, as the restore of a part would."""
    for first, last in ranges:
        await change(place, f"DELETE FROM log WHERE sequence BETWEEN {first} AND {last}")
        await change(place, f"UPDATE epoch SET taken = taken - int8multirange(int8range({first}, {last}, '[]'))")


def command(place: Place, *arguments: str, status: int = 0) -> dict[str, Any]:
    """Return what the command prints of the only satellite."""
    result = CliRunner().invoke(reconcile, ["home", "--json", *arguments])
    assert result.exit_code == status, result.output
    (one,) = json.loads(result.stdout)["satellites"]
    return dict(one)


def text(*arguments: str) -> str:
    return CliRunner().invoke(reconcile, ["home", *arguments]).output


def limit(place: Place, quota: int) -> None:
    with connect(place.settings.database_url) as connection:
        set_quotas(connection, "home", "tests", series=quota)


def test_what_the_quota_left_out_is_accounted_for_and_comes_once_there_is_room(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The satellite is the real one: it does not know of quotas, it is only asked to connect again."""
    monkeypatch.setattr("metaconsole.gateway.uplink.ROOM_SECONDS", 0.1)
    limit(place, SAMPLES - 1)
    whole = f"SELECT 1 FROM log WHERE kind = 1 AND samples = {SAMPLES}"

    async def scenario() -> None:
        async with gateway(place) as port, satellite(place, port) as spool:
            await produce(spool, 10)
            await agreed(place)
            await read_facts(place)
            told = command(place)
            assert told["accounted"]
            assert told["produced"] == {"frames": 10, "samples": 10 * SAMPLES}
            assert told["stored"] == {"frames": 10, "samples": 10 * (SAMPLES - 1)}
            assert told["missing"] == {"frames": 0, "samples": 10, "reasons": {}}
            assert told["refused_samples"] == 10
            assert "10 samples of frames that are stored are refused" in text()
            limit(place, SAMPLES)
            async with asyncio.timeout(10 * SLACK):
                while not rows(place, whole):
                    await produce(spool, 1)
                    await asyncio.sleep(0.05)

    asyncio.run(scenario())
    ((produced, stored, refused),) = rows(
        place, f"SELECT count(*) * {SAMPLES}, sum(samples)::int, sum(refused_samples)::int FROM log WHERE kind = 1"
    )
    assert produced == stored + refused
    assert rows(place, "SELECT series FROM dictionary") == [(SAMPLES,)]


def test_what_was_produced_is_told_and_nothing_is_missing(place: Place) -> None:
    async def scenario() -> None:
        async with gateway(place) as port, satellite(place, port) as spool:
            await produce(spool, 10)
            await agreed(place)
            await read_facts(place)
            told = command(place)
            assert told["produced"] == told["stored"] == {"frames": 10, "samples": 10 * SAMPLES}
            assert told["missing"] == {"frames": 0, "samples": 0, "reasons": {}}
            assert told["duplicated"] == {"frames": 0, "samples": 0}
            assert "everything is accounted for" in text()
            assert command(place, "--from", "2100-01-01")["produced"]["frames"] == 0

    asyncio.run(scenario())


def test_what_is_gone_from_the_database_is_brought_back_once_and_in_order(place: Place) -> None:
    async def scenario() -> None:
        async with gateway(place) as port:
            async with satellite(place, port) as spool:
                epoch = spool.current.id
                await produce(spool, 10)
                await agreed(place)
                await read_facts(place)
                sent = rows(place, "SELECT sequence, payload, times FROM log ORDER BY sequence")
            await remove(place, (3, 5), (8, 8))
            assert command(place, status=1)["missing"]["reasons"] == {"absent": 4}
            after = now(place)
            async with satellite(place, port) as spool:
                await produce(spool, 1)
                await agreed(place, after)
            await read_facts(place)
            mine = f"epoch = '{epoch.hex()}'"
            assert rows(place, f"SELECT sequence, payload, times FROM log WHERE {mine} ORDER BY sequence") == sent
            order = f"SELECT sequence, lane FROM log WHERE {mine} AND ordinal > 10 ORDER BY ordinal"
            assert [sequence for sequence, _ in rows(place, order)] == [3, 4, 5, 8]
            told = command(place)
            assert told["produced"] == told["stored"] == {"frames": 11, "samples": 11 * SAMPLES}
            assert told["duplicated"] == {"frames": 0, "samples": 0}
            assert [(one["first"], one["last"], one["stored"]) for one in told["differences"]] == [(3, 5, 3), (8, 8, 1)]
            assert "1 sent again and stored" in text()
            assert rows(place, "SELECT 1 FROM gap") == []

    asyncio.run(scenario())


def test_what_nobody_holds_any_more_becomes_a_gap_once(place: Place) -> None:
    async def scenario() -> None:
        async with gateway(place) as port:
            async with satellite(place, port) as spool:
                epoch = spool.current.id
                await produce(spool, 10)
                await agreed(place)
                await read_facts(place)
            async with satellite(place, port, Bounds(keep_hours=0, ballast_bytes=0)) as spool:
                await agreed(place)
                await spool.sweep()
                await wait_until(lambda: len(spool.epochs) == 1, 5, "the folder of the epoch goes")
            await remove(place, (4, 6))
            for _ in range(2):
                after = now(place)
                async with satellite(place, port) as spool:
                    await agreed(place, after)
                    await read_facts(place)
            found = rows(place, "SELECT reason, detail, to_ms - from_ms < 60000 FROM gap")
            assert [(reason, short) for reason, _, short in found] == [("error", True)]
            assert found[0][1].startswith("3 frames with about 9 samples were delivered once")
            told = command(place)
            assert told["missing"] == {"frames": 3, "samples": 9, "reasons": {"gone": 3}}
            assert (told["stored"], told["duplicated"]["frames"]) == ({"frames": 7, "samples": 21}, 0)
            assert [(d["epoch"], d["first"], d["last"], d["lost"]) for d in told["differences"]] == [
                (epoch.hex(), 4, 6, {"gone": 3})
            ]
            assert "held by the satellite no more" in text()

    asyncio.run(scenario())


def test_what_retention_removed_is_no_difference_and_what_is_stored_twice_is_one(place: Place) -> None:
    async def scenario() -> None:
        async with gateway(place) as port, satellite(place, port) as spool:
            await produce(spool, 6)
            await agreed(place)
            await read_facts(place)
            await change(place, "DELETE FROM log WHERE sequence <= 3")
            assert command(place)["stored"]["frames"] == 6
            columns = (
                "site_id, satellite_id, received_at, epoch, sequence, lane, kind, first_ms, last_ms, samples, payload"
            )
            await change(
                place,
                f"INSERT INTO log (ordinal, {columns}) SELECT 7, {columns} FROM log WHERE sequence = 5",
            )
            await change(place, "UPDATE satellite SET head = 7")
            await read_facts(place)
            told = command(place, status=1)
            assert told["duplicated"] == {"frames": 1, "samples": SAMPLES}
            assert told["stored"] == {"frames": 6, "samples": 6 * SAMPLES}
            assert "1 stored twice" in text()

    asyncio.run(scenario())


def produced(client: Client, *ranges: tuple[int, int], samples: int = 0, epoch: bytes = b"") -> uplink_pb2.Produced:
    told = [uplink_pb2.ProducedRange(first=a, last=b, samples=samples, from_ms=1, to_ms=2) for a, b in ranges]
    return uplink_pb2.Produced(
        epochs=[uplink_pb2.EpochProduced(epoch=epoch or client.epoch.bytes, ranges=told)], complete=True
    )


async def recall(client: Client) -> uplink_pb2.Recall:
    while not (message := await client.read()).HasField("recall"):
        pass
    return message.recall


def test_dropped_and_refused_frames_are_missing_for_their_reason(place: Place) -> None:
    async def scenario() -> None:
        async with connected(place) as client:
            await client.hello()
            await client.define(3)
            await client.frame(1, batch=batch([1, 2, 3], [1, 2, 3]))
            await client.frame(2, batch=batch([7], [1]))
            span = uplink_pb2.SequenceRange(first=3, last=9000)
            await client.send(
                dropped=uplink_pb2.Dropped(
                    epoch=client.epoch.bytes, range=span, samples=5, reason=pb.GAP_REASON_DROPPED
                )
            )
            await client.acks(9000)
            await client.send(produced=produced(client, (1, 4095), samples=100))
            assert not (await recall(client)).epochs
            await client.send(produced=produced(client, (4096, 8191), (8192, 9001), samples=100))
            assert [(r.first, r.last) for e in (await recall(client)).epochs for r in e.ranges] == [(9001, 9001)]
            await read_facts(place)
        told = command(place, status=1)
        reasons = {"dropped": 8998, "refused: unknown_series": 1, "absent": 1}
        assert told["missing"] == {"frames": 9000, "samples": 297, "reasons": reasons}
        assert [line["first"] for line in told["differing"]] == [8192]

    asyncio.run(scenario())


def test_a_report_can_make_nothing_taken_and_concerns_nobody_else(place: Place) -> None:
    with psycopg.connect(place.settings.database_url) as connection:
        other = ensure_satellite(connection, place.identity.site_id, "other")

    async def scenario() -> None:
        async with connected(place) as client:
            await client.hello()
            await client.define(3)
            await client.frame(1, batch=batch([1, 2, 3], [1, 2, 3]))
            await client.acks(1)
            await change(
                place,
                f"INSERT INTO epoch (site_id, satellite_id, epoch, taken) VALUES ({place.identity.site_id}, '{other}', "
                f"'{b'o'.hex() * 16}', '{{[1,10)}}')",
            )
            before = rows(place, "SELECT satellite_id, epoch, taken FROM epoch ORDER BY epoch")
            await client.send(produced=produced(client, (1, 50), epoch=b"o" * 16))
            assert [(r.first, r.last) for e in (await recall(client)).epochs for r in e.ranges] == [(1, 50)]
            for bad in ((0, 5), (5, 4), (1, 4096), (1, 2**63)):
                await client.send(produced=produced(client, bad))
            await client.send(produced=produced(client, (1, 2), (3, 4)))
            await client.send(produced=produced(client, (1, 1), samples=3))
            assert not (await recall(client)).epochs, "what can't be true is passed over, and the session goes on"
            assert rows(place, "SELECT satellite_id, epoch, taken FROM epoch ORDER BY epoch") == before
            # What was asked for may be declared as lost: of its own epoch of that name, not of the other's.
            await client.send(produced=produced(client, (1, 50), epoch=b"o" * 16))
            await recall(client)
            span = uplink_pb2.SequenceRange(first=1, last=50)
            await client.send(dropped=uplink_pb2.Dropped(epoch=b"o" * 16, range=span, reason=pb.GAP_REASON_ERROR))
            await client.acks(50)
        taken = rows(place, f"SELECT taken::text FROM epoch WHERE satellite_id = '{other}'")
        assert taken == [("{[1,10)}",)]

    asyncio.run(scenario())


def test_of_endless_reports_and_differences_the_newest_are_kept(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metaconsole.store.reconciliation.ROWS", 6)
    monkeypatch.setattr("metaconsole.store.reconciliation.DIFFERENCES", 4)

    async def scenario() -> None:
        async with connected(place) as client:
            await client.hello()
            for number in range(5):
                epoch = bytes([number]) * 16
                await client.send(produced=produced(client, (1, 1), (4096, 4096), (8192, 8192), epoch=epoch))
                await recall(client)
        assert rows(place, "SELECT count(*) FROM produced") == [(6,)]
        assert rows(place, "SELECT count(*) FROM difference") == [(4,)]
        assert rows(place, f"SELECT 1 FROM produced WHERE epoch = '{(bytes([4]) * 16).hex()}'") == [(1,)] * 3

    asyncio.run(scenario())


def test_who_never_told_is_told_of_in_a_sentence(place: Place) -> None:
    told = CliRunner().invoke(reconcile, ["home"])
    assert told.exit_code == 1
    assert "has never told what it produced" in told.stdout
    nowhere = CliRunner().invoke(reconcile, ["nowhere"])
    assert (nowhere.exit_code, "there is no site 'nowhere'" in nowhere.output) == (1, True)
    nobody = CliRunner().invoke(reconcile, ["home", "--satellite", "nobody"])
    assert (nobody.exit_code, "has no satellite nobody" in nobody.output) == (1, True)
