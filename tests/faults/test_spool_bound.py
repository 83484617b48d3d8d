"""A satellite whose metaconsole is away until its spool is full: what is stored and what is a gap is what was produced.

The satellite dies at each step of a drop; NEPHOSCOPE_FAULT_DROPS sets how often at each (1).
"""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import psycopg
from fixtures import accounting
from fixtures.accounting import FrameId
from fixtures.stack import Stack, stack, start_gateway
from fixtures.waiting import wait_for

from faults.settling import settle
from satellite import drops
from shared.pb import telemetry_pb2 as pb

DEATHS: Final = int(os.environ.get("NEPHOSCOPE_FAULT_DROPS", "1"))
POINTS: Final = ("spool.drop.before", "spool.drop.stored", "spool.drop.after")
SOURCES: Final = ("alpha", "beta", "gamma", "delta")
SEGMENT: Final = 8 * 1024
SPOOL: Final = 64 * 1024
_GAPS: Final = "SELECT epoch, sequence, payload FROM log WHERE kind = 4"


@dataclass(frozen=True, slots=True)
class Dropped:
    """A gap that stands for dropped frames."""

    epoch: UUID
    first: int
    frames: int
    samples: int
    from_ms: int
    to_ms: int

    def covers(self, frame: FrameId) -> bool:
        return frame.epoch == self.epoch and self.first <= frame.sequence < self.first + self.frames


def test_what_a_full_spool_drops_is_a_gap_and_the_rest_is_stored(tmp_path: Path) -> None:
    with stack(tmp_path) as made:
        config = made.satellite("cramped", dict.fromkeys(SOURCES, "ledger"))
        ledger = tmp_path / "ledger"
        sizes = ("", "1", str(SEGMENT), str(SPOOL))
        satellite = made.program("satellite", "faults.satellite_program", str(config), str(ledger), *sizes)
        gateway = start_gateway(made)
        satellite.start()
        wait_for(lambda: accounting.stored(made.database.url) > 20, 20, "frames are stored")
        gateway.kill()  # with frames under way, of which it may have stored some
        for point in POINTS * DEATHS:
            if satellite.running():
                satellite.kill()
            satellite.start(failpoint=f"{point}=1")
            wait_for(lambda: not satellite.running(), 60, f"a drop comes to {point}")
        spool = config.parent / "state" / "spool"
        before = set(spool.iterdir())
        satellite.start()
        wait_for(lambda: samples_dropped(set(spool.iterdir()) - before) > 0, 60, "the last run drops what it collected")
        gateway.start()
        settle(made, {config: satellite}, ledger)
        judge(made, ledger)


def samples_dropped(epochs: Iterable[Path]) -> int:
    """Return how many samples some epochs have dropped."""
    lists = [path for path in (epoch / drops.NAME for epoch in epochs) if path.exists()]
    return sum(drop.samples for path in lists for drop in drops.of_file(path.read_bytes()) or ())


def judge(made: Stack, ledger: Path) -> None:
    """Hold the ledger against log and gaps: each frame is stored or in one gap, and the samples of both add up."""
    produced, log = accounting.read_ledger(ledger), accounting.read_log(made.database.url)
    verdict = accounting.compare(produced, log)
    assert (verdict.twice, verdict.wrong) == ([], [])
    gaps = dropped_gaps(made)
    assert gaps, "nothing was dropped"
    stored = set(log.frames) - {FrameId(gap.epoch, gap.first) for gap in gaps}
    numbers = {FrameId(gap.epoch, n) for gap in gaps for n in range(gap.first, gap.first + gap.frames)}
    assert len(numbers) == sum(gap.frames for gap in gaps), "a frame is in two gaps"
    assert not numbers & stored, "a stored frame is called dropped"
    assert set(verdict.lost) <= numbers, "a frame is neither stored nor in a gap"
    taken = {FrameId(epoch, n) for epoch, parts in log.taken.items() for a, b in parts for n in range(a, b + 1)}
    assert taken == stored | numbers, "a number is taken for nothing"
    for epoch, parts in log.taken.items():
        assert [first for first, _ in parts] == [1], f"the numbers of {epoch} have holes"
    in_gaps, lost = Counter[UUID](), Counter[UUID]()
    for gap in gaps:
        in_gaps[gap.epoch] += gap.samples
        assert 0 < gap.from_ms <= gap.to_ms
    by_frame = {line.frame: line.samples for line in produced}
    for frame in verdict.lost:
        lost[frame.epoch] += by_frame[frame]
    # Of a run that was killed with frames under way, what they held is told in proportion.
    last = produced[-1].frame.epoch
    assert in_gaps[last] == lost[last] > 0, "the last run was not killed: its samples add up"
    frames = sum(gap.frames for gap in gaps)
    print(f"{verdict.frames} batches stored, {len(verdict.lost)} dropped in {len(gaps)} gaps of {frames} frames")


def dropped_gaps(made: Stack) -> list[Dropped]:
    """Return the gaps of dropped frames."""
    found = []
    with psycopg.connect(made.database.url) as connection:
        for epoch, sequence, payload in connection.execute(_GAPS).fetchall():
            for gap in pb.GapList.FromString(payload).gaps:
                if gap.detail.startswith("the satellite dropped"):
                    words = gap.detail.split()
                    assert gap.reason == pb.GAP_REASON_DROPPED, gap
                    found.append(Dropped(epoch, sequence, int(words[3]), int(words[6]), gap.from_ms, gap.to_ms))
    return found
