"""The backlog's window and its budget, on clocks that a test turns."""

import heapq
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satellite.backfill import FIRST_BYTES, LEAST_BYTES, MOST_BYTES, TARGET_SECONDS, Backfill, Budget

FRAME = 16 * 1024


def at(hour: int, minute: int = 0) -> int:
    """Return UTC milliseconds of a time of day."""
    return int(datetime(2026, 11, 25, hour, minute, 59, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("begin", "end", "inside", "outside"),
    [
        (0, 0, [0, 12, 23], []),
        (22 * 60, 6 * 60, [22, 23, 0, 5], [6, 12, 21]),
        (6 * 60, 22 * 60, [6, 12, 21], [22, 0, 5]),
    ],
)
def test_hours(begin: int, end: int, inside: list[int], outside: list[int]) -> None:
    budget = Budget(0, begin, end)
    assert [hour for hour in inside if not budget.open_at(at(hour))] == []
    assert [hour for hour in outside if budget.open_at(at(hour))] == []


def test_outside_its_hours_nothing_may_be_sent_until_the_next_minute() -> None:
    backfill = Backfill(Budget(0, 60, 120))
    assert backfill.room(1.0, at(3)) == 0
    assert backfill.wait_seconds(at(3)) == pytest.approx(1.0)
    assert backfill.room(2.0, at(1)) == FIRST_BYTES


@given(kbit=st.integers(8, 100_000), size=st.integers(1, 200_000), step=st.floats(0.01, 2.0))
def test_the_budget_holds_whatever_the_frames(kbit: int, size: int, step: float) -> None:
    backfill, size = Backfill(Budget(kbit)), max(size, kbit * 4)
    backfill.room(0.0, at(0))
    sent, now = 0, 0.0
    for _ in range(100):
        now += step
        while backfill.room(now, at(0)) > 0:
            backfill.sent(size)
            backfill.acknowledged(size, now, 0.0)
            sent += size
    assert sent <= kbit * 125 * (now + 1) + size, "a second's worth may be saved, and one frame may exceed it"
    assert sent >= 100 * min(step, 1.0) * kbit * 125 * 0.9 - size


def through(bytes_per_second: float, seconds: float) -> tuple[Backfill, float, float]:
    """Send a backlog through a line with a queue; returns what learned, the bytes that came out and the worst delay."""
    backfill, now, free_at, out, worst = Backfill(), 0.0, 0.0, 0.0, 0.0
    answers: list[tuple[float, float]] = []
    while now < seconds:
        while backfill.room(now, at(0)) > 0:
            backfill.sent(FRAME)
            free_at = max(free_at, now) + FRAME / bytes_per_second
            heapq.heappush(answers, (free_at + 0.02, now))
        now, sent = heapq.heappop(answers)
        backfill.acknowledged(FRAME, now, now - sent)
        out += FRAME
        if now > seconds / 2:
            worst = max(worst, free_at - now)
    return backfill, out, worst


@pytest.mark.parametrize("kbit", [128, 256, 2_000, 100_000])
def test_a_line_is_filled_and_its_queue_stays_short(kbit: int) -> None:
    _, out, worst = through(kbit * 125.0, 120.0)
    assert out >= 0.8 * kbit * 125 * 120
    assert worst <= TARGET_SECONDS + 2 * FRAME / (kbit * 125), "a live frame would wait for so long"


def test_the_window_has_bounds() -> None:
    fast, slow = Backfill(), Backfill()
    for number in range(10_000):
        fast.sent(FRAME)
        fast.acknowledged(FRAME, float(number), 0.001)
        slow.sent(FRAME)
        slow.acknowledged(FRAME, 100.0 * number, 50.0)
    assert fast.window == MOST_BYTES
    assert slow.window == LEAST_BYTES
    assert (fast.under_way, slow.under_way) == (0, 0)


def test_the_rate_is_what_was_acknowledged_lately() -> None:
    backfill = Backfill()
    for number in range(1, 1_000):
        backfill.sent(1_000)
        backfill.acknowledged(1_000, number * 0.1, 0.01)
    assert backfill.rate == pytest.approx(10_000, rel=0.02)
    backfill.drained()
    assert backfill.rate == 0
