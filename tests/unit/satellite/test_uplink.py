"""The uplink against an in-process gateway: nothing is lost, lanes, credit, refusals, restores, reconnects."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
import numpy as np
import pytest
from fixtures.fake_gateway import FakeGateway, Reply, serving
from fixtures.spools import events_frame, ident
from fixtures.waiting import wait_until

from satellite.bounds import DEFAULT, Bounds
from satellite.clock import SystemClock
from satellite.epoch_writer import EpochWriter
from satellite.segments import FRAME_COST
from satellite.spool import Spool
from satellite.uplink import Callbacks, SessionState, Uplink
from shared import columns
from shared.pb import actions_pb2, telemetry_pb2, uplink_pb2


class Rig:
    """A spool and its uplink; the clock of the spool can be turned."""

    def __init__(self, state: Path, bounds: Bounds = DEFAULT) -> None:
        self.state = state
        self.now_ms = SystemClock().now_ms()
        self.connected = 0
        self.spool = Spool(state, lambda: self.now_ms, bounds=bounds)

    @asynccontextmanager
    async def running(self, *ports: int) -> AsyncIterator[Uplink]:
        uplink = Uplink(
            self.spool,
            [f"127.0.0.1:{port}" for port in ports],
            grpc.aio.insecure_channel,
            SessionState(self.state / "session.json"),
            Callbacks(lambda: uplink_pb2.Heartbeat(now_ms=1), self._connected),
            SystemClock(),
            retry=(0.05, 0.2),
        )
        task = asyncio.create_task(uplink.run())
        try:
            yield uplink
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()

    def _connected(self) -> None:
        self.connected += 1


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def batch_frame() -> uplink_pb2.Frame:
    batch = telemetry_pb2.Batch(source="s", plan="p", interval_ms=10_000)
    batch.times.CopyFrom(columns.encode(np.array([50_000], dtype=np.int64)))
    return uplink_pb2.Frame(batch=batch)


def test_frames_arrive_after_their_definitions_and_leave_the_spool(rig: Rig) -> None:
    async def scenario() -> None:
        async with serving(FakeGateway()) as gateway:
            await rig.spool.define([telemetry_pb2.SeriesDefinition(id=n, metric="m") for n in (1, 2, 3)])
            await rig.spool.append(events_frame(1))
            async with rig.running(gateway.port):
                await wait_until(lambda: not rig.spool.current.pending, 5, "the frame is acknowledged")
                await rig.spool.define([telemetry_pb2.SeriesDefinition(id=4, metric="m")])
                await rig.spool.append(events_frame(2))
                await wait_until(lambda: len(gateway.frames) == 2, 5, "the second frame arrives")
            kinds = [m.WhichOneof("message") for m in gateway.messages if not m.HasField("heartbeat")]
            assert kinds == ["series", "frame", "series", "frame"]
            series = [item.id for m in gateway.messages for item in m.series.definitions]
            assert series == [1, 2, 3, 4]
            assert any(m.HasField("heartbeat") for m in gateway.messages)
            assert rig.connected == 1
        await rig.spool.close()

    asyncio.run(scenario())


def test_after_an_outage_the_newest_go_first_and_the_backlog_follows_oldest_first(tmp_path: Path) -> None:
    async def scenario() -> None:
        first = Rig(tmp_path)
        first.now_ms -= 3_600_000
        await first.spool.append(events_frame(1))
        await first.spool.append(events_frame(2))
        await first.spool.close()
        rig = Rig(tmp_path)
        rig.now_ms -= 600_000
        await rig.spool.append(events_frame(3))
        rig.now_ms += 600_000
        await rig.spool.append(events_frame(4))
        async with serving(FakeGateway()) as gateway, rig.running(gateway.port):
            await wait_until(lambda: len(gateway.frames) == 4, 5, "all frames arrive")
            lanes = [(ident(frame), frame.lane) for frame in gateway.frames]
            live, behind = uplink_pb2.LANE_LIVE, uplink_pb2.LANE_BACKFILL
            assert lanes == [(4, live), (1, behind), (2, behind), (3, behind)]
            await wait_until(lambda: all(e.drained for e in rig.spool.epochs), 5, "all is acknowledged")
        await rig.spool.close()

    asyncio.run(scenario())


def test_what_the_metaconsole_has_is_not_sent_again(rig: Rig) -> None:
    async def scenario() -> None:
        for number in range(1, 6):
            await rig.spool.append(events_frame(number))
        async with serving(FakeGateway(taken={rig.spool.current.id: {2, 4}})) as gateway, rig.running(gateway.port):
            await wait_until(lambda: not rig.spool.current.pending, 5, "all is acknowledged")
            assert [ident(frame) for frame in gateway.frames] == [1, 3, 5]
            assert [(r.first, r.last) for r in gateway.hellos[0].epochs[0].unsent] == [(1, 5)]
        await rig.spool.close()

    asyncio.run(scenario())


def test_frames_that_are_not_answered_stay_within_the_credit_and_are_sent_again(rig: Rig) -> None:
    async def scenario() -> None:
        for number in range(1, 8):
            await rig.spool.append(events_frame(number))
        gateway = FakeGateway(in_flight=3, answer=False)
        async with rig.running(await _free_port(gateway)):
            async with serving(gateway):
                await wait_until(lambda: len(gateway.frames) == 3, 5, "the credit is used up")
                await asyncio.sleep(0.1)
                assert len(gateway.frames) == 3
            assert len(rig.spool.current.pending) == 7
            gateway.answer = True
            async with serving(gateway):
                await wait_until(lambda: not rig.spool.current.pending, 10, "all is acknowledged after the reconnect")
                assert gateway.most_unanswered == 3
                assert [hello.session_counter for hello in gateway.hellos] == sorted(
                    {hello.session_counter for hello in gateway.hellos}
                )
        await rig.spool.close()

    asyncio.run(scenario())


async def _free_port(gateway: FakeGateway) -> int:
    async with serving(gateway):
        return gateway.port


def test_a_refused_frame_is_let_go_of_and_counted_and_told_once(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(frame: uplink_pb2.Frame) -> uplink_pb2.Refusal | None:
        return uplink_pb2.Refusal(sequence=frame.sequence, reason="limit", detail="too much of it")

    async def scenario() -> None:
        await rig.spool.append(batch_frame())
        await rig.spool.append(events_frame(1))
        async with serving(FakeGateway(refuse=refuse)) as gateway, rig.running(gateway.port) as uplink:
            await wait_until(lambda: not rig.spool.current.pending, 5, "all is acknowledged")
            assert uplink.refusals.frames == 2  # and not only when the session ends
            # The gap is the metaconsole's to write: nothing was added here.
            assert len(gateway.frames) == 2
            assert rig.spool.produced == 2
        await rig.spool.close()

    asyncio.run(scenario())
    assert sum("too much of it" in record.message for record in caplog.records) == 1


def test_a_new_incarnation_is_offered_everything_that_is_still_here(rig: Rig) -> None:
    async def scenario() -> None:
        await rig.spool.append(events_frame(1))
        async with serving(FakeGateway()) as gateway, rig.running(gateway.port):
            await wait_until(lambda: not rig.spool.current.pending, 5, "the frame is acknowledged")
        restored = FakeGateway(incarnation=b"j" * 16)
        async with serving(restored), rig.running(restored.port):
            await wait_until(lambda: len(restored.frames) == 1, 5, "the frame is sent again")
            await wait_until(lambda: not rig.spool.current.pending, 5, "and acknowledged again")
            assert [hello.incarnation for hello in restored.hellos] == [b"i" * 16, b"j" * 16]
        await rig.spool.close()

    asyncio.run(scenario())


def test_a_new_incarnation_is_noticed_where_the_file_with_the_last_one_was_lost(rig: Rig) -> None:
    async def scenario() -> None:
        await rig.spool.append(events_frame(1))
        async with serving(FakeGateway()) as gateway, rig.running(gateway.port):
            await wait_until(lambda: not rig.spool.current.pending, 5, "the frame is acknowledged")
            assert len(gateway.hellos) == 1, "at first contact there is nothing to offer again"
        (rig.state / "session.json").unlink()
        restored = FakeGateway(incarnation=b"j" * 16)
        async with serving(restored), rig.running(restored.port):
            await wait_until(lambda: len(restored.frames) == 1, 5, "the frame is sent again")
        await rig.spool.close()

    asyncio.run(scenario())


def test_a_retired_epoch_goes_on_under_a_new_number_with_its_frames(rig: Rig) -> None:
    async def scenario() -> None:
        old = rig.spool.current.id
        await rig.spool.append(events_frame(1))
        async with serving(FakeGateway(retired={old}, taken={old: {1}})) as gateway, rig.running(gateway.port):
            await wait_until(lambda: len(gateway.frames) == 1, 5, "the frame is sent under the new epoch")
            assert gateway.frames[0].epoch == rig.spool.current.id != old
        await rig.spool.close()

    asyncio.run(scenario())


def test_lost_frames_are_declared_until_that_is_acknowledged(rig: Rig) -> None:
    async def scenario() -> None:
        await rig.spool.append(events_frame(1))
        await rig.spool.append(events_frame(2))
        rig.spool.current.lose(1)
        async with serving(FakeGateway()) as gateway, rig.running(gateway.port):
            await wait_until(lambda: rig.spool.current.drained, 5, "loss and frame are acknowledged")
            (dropped,) = [m.dropped for m in gateway.messages if m.HasField("dropped")]
            assert (dropped.range.first, dropped.range.last) == (1, 1)
            assert dropped.reason == telemetry_pb2.GAP_REASON_ERROR
            assert dropped.to_ms == rig.now_ms
            assert [ident(frame) for frame in gateway.frames] == [2]
        await rig.spool.close()

    asyncio.run(scenario())


def test_what_is_dropped_while_connected_is_declared_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EpochWriter, "SEGMENT_BYTES", 1)

    async def scenario() -> None:
        rig = Rig(tmp_path, Bounds(4 * FRAME_COST))
        async with serving(FakeGateway(answer=False)) as gateway, rig.running(gateway.port):
            for number in range(1, 5):
                await rig.spool.append(events_frame(number))
            await wait_until(lambda: len(gateway.frames) == 4, 5, "all frames are under way")
            for number in (5, 6):
                await rig.spool.append(events_frame(number))
            await wait_until(lambda: not rig.spool.current.lost, 5, "what was dropped is declared and acknowledged")
            dropped = [m.dropped for m in gateway.messages if m.HasField("dropped")]
            assert [(d.range.first, d.range.last, d.reason) for d in dropped] == [
                (1, 1, telemetry_pb2.GAP_REASON_DROPPED),
                (2, 2, telemetry_pb2.GAP_REASON_DROPPED),
            ]
            assert list(rig.spool.current.pending) == [(3, 6)]
        await rig.spool.close()

    asyncio.run(scenario())


def test_what_is_not_served_yet_is_answered_truthfully_and_a_drain_is_followed(rig: Rig) -> None:
    async def scenario() -> None:
        async with serving(FakeGateway()) as gateway, rig.running(gateway.port):
            await wait_until(lambda: rig.connected == 1, 5, "the session")
            order = actions_pb2.ActionOrder(id=b"a" * 16, verb="reset").SerializeToString()
            gateway.outbox.put_nowait(Reply(action=actions_pb2.ActionRequest(request=order)))
            gateway.outbox.put_nowait(Reply(config=uplink_pb2.Config(revision="r1")))
            await wait_until(lambda: any(m.HasField("config_status") for m in gateway.messages), 5, "both answers")
            (update,) = [m.action_update for m in gateway.messages if m.HasField("action_update")]
            assert (update.id, update.state) == (b"a" * 16, actions_pb2.ACTION_STATE_REFUSED)
            (status,) = [m.config_status for m in gateway.messages if m.HasField("config_status")]
            assert status.revision == "r1"
            assert status.error
            gateway.outbox.put_nowait(Reply(drain=uplink_pb2.Drain(reason="upgrade", reconnect_after_ms=10)))
            await wait_until(lambda: rig.connected == 2, 5, "the satellite comes back")
        await rig.spool.close()

    asyncio.run(scenario())


def test_the_next_address_is_tried_when_the_first_is_silent(rig: Rig) -> None:
    async def scenario() -> None:
        nobody = await _free_port(FakeGateway())
        async with serving(FakeGateway()) as gateway, rig.running(nobody, gateway.port) as uplink:
            await wait_until(lambda: uplink.connected_to == f"127.0.0.1:{gateway.port}", 5, "the second answers")
        await rig.spool.close()

    asyncio.run(scenario())


def test_the_session_counter_ascends_over_restarts_and_a_lost_file(tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    first = SessionState(path).next_counter()
    second = SessionState(path).next_counter()
    path.write_text("{}")
    assert first < second < SessionState(path).next_counter() + 1_000
