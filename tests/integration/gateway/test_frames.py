"""What becomes of what a satellite sends: it is stored with global ids, refused with a reason, a gap, or liveness."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import numpy as np
from fixtures.gateway import METRIC, Place, batch, connected, inventory, rows

from shared.batches import MESSAGE_BYTES, decode_block, decode_times
from shared.columns import encode
from shared.pb import telemetry_pb2, uplink_pb2


def test_a_batch_is_stored_with_global_ids_and_its_values_as_sent(place: Place) -> None:
    sent = batch([1, 2, 3], [0.25, 0.5, 0.75])

    async def scenario() -> tuple[uplink_pb2.Welcome, uplink_pb2.Ack]:
        async with connected(place) as client:
            welcome = await client.hello()
            await client.define(3)
            await client.frame(1, batch=sent)
            return welcome, await client.ack()

    welcome, ack = asyncio.run(scenario())
    assert welcome.satellite_id == str(place.identity.satellite_id)
    assert welcome.site == "home"
    assert [(part.first, part.last) for part in ack.taken] == [(1, 1)]
    assert not ack.refused
    ((payload, offsets, times, samples),) = rows(
        place, "SELECT payload, offsets, times, samples FROM log WHERE kind = 1"
    )
    assert samples == 3
    assert payload[0] == 1
    assert offsets == [0, len(payload)]
    block = telemetry_pb2.Block.FromString(payload[1:])
    assert block.values.SerializeToString() == sent.blocks[0].values.SerializeToString()
    instants = decode_times(telemetry_pb2.Batch(times=telemetry_pb2.Column.FromString(times)))
    found = decode_block(block, instants)
    keys = dict(rows(place, "SELECT series_id, key FROM series JOIN resource_key USING (site_id, resource_id)"))
    assert {
        keys[series]: value for series, value in zip(found.series.tolist(), found.values.tolist(), strict=True)
    } == {
        "h1": 0.25,
        "h2": 0.5,
        "h3": 0.75,
    }


def test_columns_of_the_three_time_scopes_are_stored(place: Place) -> None:
    now = int(datetime.now(UTC).timestamp() * 1000)
    message = batch([1, 2], [1.0, 2.0, 3.0, 4.0], times=encode(np.array([now - 1000, now])))
    resource = telemetry_pb2.Block(metric=METRIC, scope=telemetry_pb2.TIME_SCOPE_RESOURCE)
    resource.series.CopyFrom(encode(np.array([1, 2])))
    resource.times.CopyFrom(encode(np.array([1, 0])))
    resource.values.CopyFrom(encode(np.array([5.0, 6.0])))
    sample = telemetry_pb2.Block(metric=METRIC, scope=telemetry_pb2.TIME_SCOPE_SAMPLE)
    sample.series.CopyFrom(encode(np.array([1, 1, 2])))
    sample.times.CopyFrom(encode(np.array([-5000, 10, 2000])))
    sample.values.CopyFrom(encode(np.array([7.0, 8.0, 9.0])))
    message.blocks.extend([resource, sample])

    async def scenario() -> uplink_pb2.Ack:
        async with connected(place) as client:
            await client.hello()
            await client.define(2)
            await client.frame(1, batch=message)
            return await client.ack()

    ack = asyncio.run(scenario())
    assert not ack.refused
    ((first, last, samples, offsets),) = rows(place, "SELECT first_ms, last_ms, samples, offsets FROM log")
    assert (first, last, samples, len(offsets)) == (now - 6000, now + 1000, 9, 4)


def test_bad_frames_are_refused_one_by_one_with_a_reason(place: Place) -> None:
    good = batch([1, 2], [0.1, 0.2])
    nan = batch([1, 2], [0.1, 0.2])
    raw = np.array([0.1, np.nan]).tobytes()
    nan.blocks[0].values.encoding, nan.blocks[0].values.data = telemetry_pb2.ENCODING_RAW, raw
    garbage = batch([1, 2], [0.1, 0.2])
    garbage.blocks[0].values.encoding, garbage.blocks[0].values.data = telemetry_pb2.ENCODING_PCODEC, b"\xff" * 40
    short = batch([1, 2], [0.1, 0.2])
    short.blocks[0].values.count = 3
    foreign = batch([1, 2], [0.1, 0.2])
    foreign.blocks[0].metric = "no.such.metric"
    old = batch([1, 2], [0.1, 0.2], at_ms=1_000)
    ahead = batch([1, 2], [0.1, 0.2], at_ms=int(datetime.now(UTC).timestamp() * 1000) + 3_600_000)
    large = batch([1, 2], [0.1, 0.2], plan="x" * (MESSAGE_BYTES + 1000))
    other = batch([1, 2], [0.1, 0.2], source="other")
    hostile = inventory("h1\0", "name")
    unknown_state = inventory("h1", "name")
    unknown_state.resources[0].state = "bewitched"
    cases: list[tuple[str | None, dict[str, Any]]] = [
        (None, {"batch": good}),
        ("malformed", {"batch": nan}),
        ("malformed", {"batch": garbage}),
        ("malformed", {"batch": short}),
        ("unknown_metric", {"batch": foreign}),
        ("unknown_series", {"batch": batch([1, 4711], [0.1, 0.2])}),
        ("unknown_metric", {"batch": batch([1, 3], [0.1, 0.2])}),
        ("skew", {"batch": old}),
        ("skew", {"batch": ahead}),
        ("limit", {"batch": large}),
        ("malformed", {"batch": other}),
        ("malformed", {"inventory": hostile}),
        ("malformed", {"inventory": unknown_state}),
        ("malformed", {}),
        (None, {"batch": batch([2, 1], [0.3, 0.4])}),
    ]

    async def scenario() -> dict[int, str]:
        async with connected(place) as client:
            await client.hello()
            await client.define(2)
            await client.define(1, first=3, metric="no.such.metric")
            for sequence, (_, content) in enumerate(cases, 1):
                await client.frame(sequence, **content)
            acks = await client.acks(len(cases))
            return {refusal.sequence: refusal.reason for ack in acks for refusal in ack.refused}

    refused = asyncio.run(scenario())
    assert refused == {sequence: reason for sequence, (reason, _) in enumerate(cases, 1) if reason}
    assert rows(place, "SELECT sequence FROM log WHERE kind = 1 ORDER BY 1") == [(1,), (15,)]
    assert rows(place, "SELECT count(*) FROM log WHERE kind = 4") == [(13,)]
    assert rows(place, "SELECT taken::text FROM epoch") == [("{[1,16)}",)]
    assert rows(place, "SELECT max(octet_length(content)) <= 65536, count(*) FROM quarantine") == [(True, 13)]


def test_a_dropped_range_is_taken_and_becomes_a_gap(place: Place) -> None:
    now = int(datetime.now(UTC).timestamp() * 1000)
    dropped = uplink_pb2.Dropped(
        range=uplink_pb2.SequenceRange(first=1, last=500),
        from_ms=now - 60_000,
        to_ms=now,
        reason=telemetry_pb2.GAP_REASON_DROPPED,
        samples=9,
    )

    async def scenario() -> uplink_pb2.Ack:
        async with connected(place) as client:
            await client.hello()
            dropped.epoch = client.epoch.bytes
            await client.send(dropped=dropped)
            return await client.ack()

    ack = asyncio.run(scenario())
    assert [(part.first, part.last) for part in ack.taken] == [(1, 500)]
    ((payload,),) = rows(place, "SELECT payload FROM log WHERE kind = 4")
    (gap,) = telemetry_pb2.GapList.FromString(payload).gaps
    assert (gap.from_ms, gap.to_ms, gap.reason) == (now - 60_000, now, telemetry_pb2.GAP_REASON_DROPPED)


def test_heartbeats_become_liveness_and_the_end_of_the_session_is_noted(place: Place) -> None:
    beat = uplink_pb2.Heartbeat(
        now_ms=1, spool_frames=7, sources=[uplink_pb2.SourceStatus(source="machine", state="ok", cycle_seconds=0.5)]
    )

    async def scenario() -> None:
        async with connected(place) as client:
            await client.hello()
            await client.send(heartbeat=beat)
            await client.define(1)
            await client.frame(1, batch=batch([1], [0.5]))
            await client.ack()

    asyncio.run(scenario())
    ((since, heartbeat, version),) = rows(place, "SELECT connected_at, heartbeat, version FROM satellite_liveness")
    assert since is None
    assert version == "0.1.0"
    assert heartbeat["spool_frames"] == 7
    assert heartbeat["sources"][0]["cycle_seconds"] == 0.5
