"""The gateway and clocks that are off: what is taken, what is recorded beside it, and what is told."""

import asyncio
import time

import pytest
from fixtures.gateway import Client, Place, batch, connected, rows
from fixtures.waiting import wait_until

from shared.pb import telemetry_pb2, uplink_pb2

BOOT = b"b" * 16
MINUTES = 60_000


class Site:
    """A satellite's clocks: its wall clock is ahead of this machine's, its monotonic one its own."""

    def __init__(self, client: Client, ahead_ms: int) -> None:
        self.client, self.ahead_ms = client, ahead_ms

    def stamp(self) -> uplink_pb2.ClockStamp:
        now_ms = time.time_ns() // 1_000_000 + self.ahead_ms
        return uplink_pb2.ClockStamp(now_ms=now_ms, monotonic_ns=time.monotonic_ns() + 10**15, boot_id=BOOT)

    async def beat(self) -> uplink_pb2.ClockAnswer:
        """Send two heartbeats: one that asks, and one that tells what came of it."""
        first = self.stamp()
        await self.client.send(heartbeat=self._heartbeat(first))
        answer = await self.clock_answer()
        assert answer.heartbeat_ns == first.monotonic_ns
        second = self.stamp()
        told = self._heartbeat(second)
        told.gateway_monotonic_ns = answer.received_ns + second.monotonic_ns - first.monotonic_ns
        told.clock_uncertainty_ns = 20_000_000
        await self.client.send(heartbeat=told)
        return await self.clock_answer()

    async def clock_answer(self) -> uplink_pb2.ClockAnswer:
        while not (message := await self.client.read()).HasField("clock"):
            pass
        return message.clock

    async def frame(self, sequence: int, stamped: uplink_pb2.ClockStamp) -> uplink_pb2.Ack:
        content = batch([1, 2, 3], [0.25, 0.5, 0.75], at_ms=stamped.now_ms)
        await self.client.frame(sequence, batch=content, stamped=stamped)
        return await self.client.ack()

    def _heartbeat(self, now: uplink_pb2.ClockStamp) -> uplink_pb2.Heartbeat:
        return uplink_pb2.Heartbeat(now_ms=now.now_ms, monotonic_ns=now.monotonic_ns, boot_id=BOOT)


@pytest.mark.parametrize("ahead_ms", [10 * MINUTES, -10 * MINUTES])
def test_ten_minutes_off_is_taken_as_stamped_with_the_offset_beside_it_and_told(place: Place, ahead_ms: int) -> None:
    state = "SELECT clock_state, clock_offset_ms, clock_uncertainty_ms FROM satellite_liveness"

    def judged() -> list[str]:
        return [row[0] for row in rows(place, state)]

    async def scenario() -> tuple[int, int]:
        async with connected(place) as client:
            site = Site(client, ahead_ms)
            await client.hello(now_ms=site.stamp().now_ms)
            await client.define(3)
            answer = await site.beat()
            assert answer.received_ns <= answer.answered_ns
            assert abs(answer.now_ms - time.time_ns() // 1_000_000) < 60_000
            fast = site.stamp()
            assert not (await site.frame(1, fast)).refused
            await wait_until(lambda: judged() == ["critical"], 5, "the alert opens")
            assert rows(place, state) == [("critical", pytest.approx(ahead_ms, abs=1_000), 21)]
            site.ahead_ms = 0
            await site.beat()
            # Stamped before the clock was set, and sent after.
            assert not (await site.frame(2, fast)).refused
            right = site.stamp()
            assert not (await site.frame(3, right)).refused
            await wait_until(lambda: judged() == ["ok"], 5, "the alert clears")
            return fast.now_ms, right.now_ms

    fast, right = asyncio.run(scenario())
    stored = rows(place, "SELECT first_ms, last_ms, clock_offset_ms FROM log WHERE kind = 1 ORDER BY ordinal")
    assert [row[:2] for row in stored] == [(fast, fast), (fast, fast), (right, right)]
    assert [row[2] for row in stored] == [pytest.approx(off, abs=1_000) for off in (ahead_ms, ahead_ms, 0)]
    events = rows(place, "SELECT state, before, offset_ms FROM clock_event ORDER BY at")
    assert [event[:2] for event in events] == [("critical", "ok"), ("ok", "critical")]
    assert abs(events[0][2] - ahead_ms) < 1_000


def test_what_is_ahead_by_more_than_an_hour_is_a_gap_that_counts_it(place: Place) -> None:
    async def scenario() -> uplink_pb2.Ack:
        async with connected(place) as client:
            site = Site(client, 120 * MINUTES)
            await client.hello(now_ms=site.stamp().now_ms)
            await client.define(3)
            await site.beat()
            return await site.frame(1, site.stamp())

    ack = asyncio.run(scenario())
    assert [refusal.reason for refusal in ack.refused] == ["skew"]
    assert "from which the one that stamped is +7" in ack.refused[0].detail
    ((payload, offset),) = rows(place, "SELECT payload, clock_offset_ms FROM log WHERE kind = 4")
    (gap,) = telemetry_pb2.GapList.FromString(payload).gaps
    assert gap.reason == telemetry_pb2.GAP_REASON_SKEW
    assert gap.detail.endswith("; 3 samples")
    assert offset == pytest.approx(120 * MINUTES, abs=1_000)


def test_a_satellite_of_0_1_is_served_by_what_one_way_tells(place: Place) -> None:
    async def scenario() -> None:
        async with connected(place) as client:
            now = time.time_ns() // 1_000_000 + 10 * MINUTES
            await client.hello(now_ms=now)
            await client.define(3)
            await client.frame(1, batch=batch([1], [0.5], at_ms=now))
            assert not (await client.ack()).refused
            await client.send(heartbeat=uplink_pb2.Heartbeat(now_ms=now))
            state = "SELECT clock_state, clock_uncertainty_ms FROM satellite_liveness"
            await wait_until(lambda: rows(place, state) == [("critical", None)], 5, "the alert opens")

    asyncio.run(scenario())
    assert rows(place, "SELECT clock_offset_ms FROM log WHERE kind = 1") == [(None,)], "then is not known"
