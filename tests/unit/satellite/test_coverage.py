"""Coverage: from the first sight on, every instant is in a batch or in exactly one gap."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from satellite import encoding
from satellite.collector import PollPlan
from satellite.coverage import Coverage, Slots, ends_json, ends_of, load_ends
from shared import columns
from shared.model import Gap, GapReason
from shared.pb import telemetry_pb2, uplink_pb2

T0 = 1_700_000_000_000


@given(st.integers(0, 2**41), st.floats(0.1, 100_000))
def test_instants_are_aligned_and_their_offset_is_small_and_stable(now: int, interval: float) -> None:
    plan = PollPlan("fast", interval, interval)
    slots = Slots.of("s", plan)
    assert slots == Slots.of("s", plan)
    assert 0 <= slots.offset_ms <= min(1000, slots.interval_ms // 20)
    assert slots.at(now) <= now < slots.after(now)
    assert (slots.at(now) - slots.offset_ms) % slots.interval_ms == 0


@given(st.booleans(), st.lists(st.tuples(st.booleans(), st.integers(1, 40_000)), min_size=1, max_size=30))
def test_gaps_never_overlap_and_leave_no_instant_out(earlier: bool, steps: list[tuple[bool, int]]) -> None:
    slots = Slots(10_000, 0)
    coverage = Coverage("fast", slots, T0 - 30_000 if earlier else 0, T0)
    now, gaps, seen = T0, list[Gap](), list[int]()
    for good, pause in steps:
        now += pause
        if good:
            gaps += coverage.gaps_before(now)
            coverage.saw(now)
            seen.append(now)
        else:
            gaps += coverage.gaps_until(now, GapReason.UNREACHABLE, "no answer")
            coverage.missed(now, GapReason.UNREACHABLE, "no answer")
    assert all(gap.from_ms < gap.to_ms for gap in gaps)
    assert all(before.to_ms <= after.from_ms for before, after in itertools.pairwise(gaps))
    covered = {slots.at(at) for at in seen}
    first = T0 - 30_000 if earlier else (seen[0] if seen and (not gaps or seen[0] < gaps[0].from_ms) else T0)
    for instant in range(slots.after(first), slots.at(now), 10_000):
        assert instant in covered or any(gap.from_ms <= instant < gap.to_ms for gap in gaps)


def test_the_last_frames_tell_where_a_run_ended(tmp_path: Path) -> None:
    batch = telemetry_pb2.Batch(source="s", plan="fast", interval_ms=10_000)
    batch.times.CopyFrom(columns.encode(np.array([T0, T0 + 1], dtype=np.int64)))
    slots = Slots.of("s", PollPlan("fast", 10, 8))
    gap = Gap(T0, T0 + 500, GapReason.ERROR, "", "slow")
    ends = ends_of([uplink_pb2.Frame(batch=batch), encoding.gaps_frame("s", [gap]), uplink_pb2.Frame()])
    assert ends == {("s", "fast"): slots.after(T0 + 1), ("s", "slow"): T0 + 500}
    (tmp_path / "ends.json").write_bytes(ends_json(ends))
    assert load_ends(tmp_path / "ends.json") == ends


@pytest.mark.parametrize("content", [b"", b"[]", b'{"s": 1}', b'{"s": {"fast": "x"}}', b"\xff"])
def test_a_damaged_file_of_ends_is_left_out(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "ends.json").write_bytes(content)
    assert load_ends(tmp_path / "ends.json") == {}
    assert "can't be read" in caplog.text
