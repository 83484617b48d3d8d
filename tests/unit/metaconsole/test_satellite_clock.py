"""How far a satellite's clock was off when it stamped a frame, whichever clock was set since."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaconsole.gateway.satellite_clock import CENTURY_MS, SatelliteClock
from metaconsole.gateway.window import AHEAD_MS, CORRECTED_MS, Window
from metaconsole.store.liveness import judge
from shared.pb import telemetry_pb2, uplink_pb2

MS = 1_000_000
BOOT, OTHER = b"b" * 16, b"o" * 16
INT64 = st.integers(-(2**63), 2**63 - 1)


class World:
    """Both machines: true milliseconds, and what their clocks make of them."""

    def __init__(self) -> None:
        self.now, self.satellite_ahead, self.gateway_ahead = 1_700_000_000_000, 0, 0
        self.clock = SatelliteClock(lambda: (self.now + self.gateway_ahead) * MS, lambda: (self.now - 5_000_000) * MS)

    def stamp(self) -> uplink_pb2.ClockStamp:
        now_ms = self.now + self.satellite_ahead
        return uplink_pb2.ClockStamp(now_ms=now_ms, monotonic_ns=(self.now - 9_000_000) * MS, boot_id=BOOT)

    def frame(self) -> uplink_pb2.Frame:
        return uplink_pb2.Frame(stamped=self.stamp())

    def beat(self, *, measured: bool = True, delay: int = 20) -> None:
        now = self.stamp()
        beat = uplink_pb2.Heartbeat(now_ms=now.now_ms, monotonic_ns=now.monotonic_ns, boot_id=BOOT)
        if measured:
            beat.gateway_monotonic_ns, beat.clock_uncertainty_ns = (self.now - 5_000_000) * MS, 3 * MS
        self.now += delay
        self.clock.beat(beat)


def test_a_frame_has_the_offset_of_when_it_was_stamped() -> None:
    world = World()
    world.satellite_ahead = 600_000
    fast = world.frame()
    world.now += 60_000
    world.satellite_ahead = 0
    right = world.frame()
    world.now += 60_000
    world.beat()
    assert (world.clock.at(fast), world.clock.at(right)) == (600_000, 0)
    reading = world.clock.now()
    assert (reading.offset_ms, reading.uncertainty_ms) == (0, 4)


def test_a_step_of_the_gateways_own_clock_is_known_at_once() -> None:
    world = World()
    world.beat()
    before = world.frame()
    world.now += 1_000
    world.gateway_ahead = -600_000
    after = world.frame()
    assert (world.clock.at(before), world.clock.at(after)) == (600_000, 600_000), "by what its clock says now"
    assert world.clock.now().offset_ms == 600_000


def test_samples_by_a_sources_clock_are_off_by_both() -> None:
    world = World()
    world.satellite_ahead = 1_000
    frame = world.frame()
    frame.batch.source_offset_ms = -90_000
    world.beat()
    assert world.clock.at(frame) == -89_000


def test_what_is_not_known_is_not_made_up() -> None:
    world = World()
    world.satellite_ahead = 600_000
    frame = world.frame()
    assert world.clock.at(frame) is None
    assert world.clock.now().offset_ms == 0
    world.clock.greeted(frame.stamped.now_ms)
    assert world.clock.at(frame) is None
    assert (world.clock.now().offset_ms, world.clock.now().uncertainty_ms) == (600_000, None)
    world.beat(measured=False)  # the first one of a session: one way only
    assert world.clock.at(frame) == 600_000 - 20
    assert world.clock.now().uncertainty_ms is None
    frame.stamped.boot_id = OTHER
    assert world.clock.at(frame) is None
    assert world.clock.at(uplink_pb2.Frame()) is None, "of a satellite of 0.1"


def test_a_heartbeat_is_answered_once_and_one_of_0_1_is_not() -> None:
    world = World()
    assert world.clock.answer() is None
    world.clock.beat(uplink_pb2.Heartbeat(now_ms=world.now - 5_000))
    assert world.clock.answer() is None
    assert world.clock.now().offset_ms == -5_000
    world.beat()
    sent = world.stamp().monotonic_ns - 20 * MS
    received = world.now - 5_000_000
    world.now += 7
    answer = world.clock.answer()
    assert answer is not None
    assert (answer.heartbeat_ns, answer.received_ns // MS, answer.answered_ns // MS) == (sent, received, received + 7)
    assert answer.now_ms == world.now
    assert world.clock.answer() is None


@given(INT64, INT64, INT64, st.integers(0, 2**64 - 1), INT64, INT64, INT64)
def test_whatever_a_satellite_claims_is_bounded(
    now: int, mono: int, ours: int, uncertain: int, stamped: int, at: int, source: int
) -> None:
    clock = SatelliteClock()
    clock.beat(
        uplink_pb2.Heartbeat(
            now_ms=now, monotonic_ns=mono, gateway_monotonic_ns=ours, clock_uncertainty_ns=uncertain, boot_id=BOOT
        )
    )
    clock.answer()
    batch = telemetry_pb2.Batch(source_offset_ms=source)
    stamp = uplink_pb2.ClockStamp(now_ms=stamped, monotonic_ns=at, boot_id=BOOT)
    offset = clock.at(uplink_pb2.Frame(stamped=stamp, batch=batch))
    assert offset is None or abs(offset) <= CENTURY_MS
    assert abs(clock.now().offset_ms) <= CENTURY_MS
    assert (clock.now().uncertainty_ms or 0) <= CENTURY_MS


@given(st.integers(-CENTURY_MS, CENTURY_MS))
def test_the_window_moves_by_an_hour_at_most(offset: int) -> None:
    now, days = 1_700_000_000_000, 400
    plain, moved = Window(now, days), Window(now, days, offset)
    cut = max(-CORRECTED_MS, min(CORRECTED_MS, offset))
    assert (moved.begin - plain.begin, moved.end - plain.end) == (cut, cut)
    assert moved.end <= now + 3_600_000 + AHEAD_MS


@pytest.mark.parametrize("sign", [1, -1])
def test_an_alert_opens_by_what_is_certain_and_clears_with_hysteresis(sign: int) -> None:
    told = [
        (1_900, 5, "ok"), (4_000, 3_000, "ok"), (4_000, 1_000, "warning"), (1_500, 5, "warning"), (900, 200, "warning"),
        (900, 50, "ok"), (61_000, 50, "critical"), (31_000, 10, "critical"), (29_000, 10, "warning"),
        (600_000, None, "critical"), (0, None, "ok"), (6_900, None, "ok"), (7_100, None, "warning"),
    ]  # fmt: skip
    states = list(itertools.accumulate(told, lambda before, row: judge(before, sign * row[0], row[1]), initial="ok"))
    assert states[1:] == [expected for _, _, expected in told]
