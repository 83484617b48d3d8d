"""The offset to the metaconsole: steps of either clock show at once, and a gateway of 0.1 gives what it can."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import pytest
from fixtures.collectors import FakeClock

from satellite.metaconsole_clock import ClockOffset, MetaconsoleClock, check_against_metaconsole
from shared.pb import uplink_pb2

NS = 1_000_000


@dataclass
class Gateway:
    """Its clocks beside the satellite's: how far its wall clock is behind, and when it was started."""

    clock: FakeClock
    behind_ms: int = 0
    booted_ms: int = 1_699_999_000_000

    def now_ms(self) -> int:
        return self.clock.time_ms - self.behind_ms

    def answer(self, beat: uplink_pb2.Heartbeat, there_ms: int = 3, back_ms: int = 3) -> uplink_pb2.ClockAnswer:
        self.clock.time_ms += there_ms
        at = (self.clock.time_ms - self.booted_ms) * NS
        answer = uplink_pb2.ClockAnswer(heartbeat_ns=beat.monotonic_ns, received_ns=at, answered_ns=at)
        answer.now_ms = self.now_ms()
        self.clock.time_ms += back_ms
        return answer


class Both:
    """A satellite's clock and the gateway that it measures."""

    def __init__(self, behind_ms: int = 0) -> None:
        self.clock = FakeClock()
        self.gateway = Gateway(self.clock, behind_ms)
        self.measured = MetaconsoleClock(self.clock)

    def beat(self, there_ms: int = 3, back_ms: int = 3) -> uplink_pb2.Heartbeat:
        self.clock.time_ms += 5_000
        beat = uplink_pb2.Heartbeat()
        self.measured.report(beat)
        self.measured.answered(self.gateway.answer(beat, there_ms, back_ms))
        return beat

    def offset(self) -> ClockOffset:
        offset = self.measured.offset()
        assert offset is not None
        return offset


def test_lopsided_ways_do_not_matter_once_one_was_short() -> None:
    both = Both(behind_ms=250)
    for there, back in ((4_000, 10), (2, 2), (10, 9_000), (3_000, 3_000)):
        both.beat(there, back)
        assert abs(both.offset().ms - 250) <= both.offset().uncertainty_ms
    assert both.offset().uncertainty_ms < 12


def test_a_step_of_its_own_clock_shows_before_any_answer() -> None:
    both = Both()
    both.beat()
    assert not both.measured.was_set()
    both.clock.set_by_ms = -600_000
    assert both.offset().ms == pytest.approx(-600_000, abs=10)
    assert both.measured.was_set(), "so that the metaconsole is told before the next frame"
    both.beat()
    assert not both.measured.was_set()


def test_a_step_of_the_metaconsole_shows_with_the_next_answer() -> None:
    both = Both()
    for _ in range(8):
        both.beat()
    both.gateway.behind_ms = 600_000
    both.beat(2_000, 2_000)
    assert both.offset().ms == pytest.approx(600_000, abs=10), "the monotonic clocks went on: nothing is forgotten"
    assert both.offset().uncertainty_ms < 20


def test_what_is_reported_is_the_clock_of_the_gateway() -> None:
    both = Both()
    first, second = both.beat(), both.beat()
    assert (first.gateway_monotonic_ns, first.clock_uncertainty_ns) == (0, 0)
    sent_ms = second.monotonic_ns // NS
    assert abs(second.gateway_monotonic_ns - (sent_ms - both.gateway.booted_ms) * NS) <= second.clock_uncertainty_ns
    assert len(second.boot_id) == 16


def test_the_greeting_of_a_gateway_that_answers_no_heartbeats_is_a_round_trip() -> None:
    both = Both(behind_ms=-7_000)
    assert both.measured.offset() is None
    sent = round(both.clock.monotonic() * 1e9)
    both.clock.time_ms += 400
    both.measured.welcomed(sent, both.gateway.now_ms())
    both.clock.time_ms += 30
    offset = both.offset()
    assert abs(offset.ms + 7_000) <= offset.uncertainty_ms <= 220
    both.measured.begin()
    assert both.measured.offset() is None
    both.measured.welcomed(sent, 0)
    assert both.measured.offset() is None, "0 is not told"


def test_a_clock_that_is_off_is_told_once_each_way_with_both_clocks_and_what_to_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    both = Both(behind_ms=1_900)
    both.beat()
    assert caplog.messages == []
    both.clock.set_by_ms = 1_000
    both.beat()
    both.beat()
    both.clock.set_by_ms = -500  # still off by more than half of the threshold
    both.beat()
    (told,) = caplog.messages
    assert "2.900 s ahead" in told
    assert "2023-11-14 22:13:3" in told
    assert "timedatectl set-ntp true" in told
    both.clock.set_by_ms = -1_900
    both.beat()
    assert "agrees with the metaconsole's again" in caplog.messages[1]


def test_the_readiness_report_goes_by_what_the_running_satellite_wrote(tmp_path: Path) -> None:
    status, now = tmp_path / "status.json", 1_700_000_000_000

    def wrote(offset_ms: float, at_ms: int = now) -> None:
        clock = ClockOffset(offset_ms, 1.5).told()
        status.write_text(json.dumps({"time_ms": at_ms, "clock": clock}))

    assert "not compared" in check_against_metaconsole(status, now).detail
    wrote(12.5)
    assert check_against_metaconsole(status, now).ok
    assert "0.013 s ahead (± 0.002 s) of" in check_against_metaconsole(status, now).detail.replace("0.012", "0.013")
    wrote(-86_400_000)
    line = check_against_metaconsole(status, now)
    assert not line.ok
    assert "says 2023-11-14 22:13:20 UTC, the metaconsole's 2023-11-15 22:13:20 UTC" in line.detail
    wrote(-86_400_000, now - 120_000)
    assert check_against_metaconsole(status, now).ok, "too old to tell of now"
    status.write_text('{"time_ms": 1, "clock": {}}')
    assert check_against_metaconsole(status, now).ok
