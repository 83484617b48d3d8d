"""Exact accounting under SIGKILL: what the satellite produced is what the log holds, each sample once, value by value.

NEPHOSCOPE_FAULT_KILLS sets the kills of each process (30), NEPHOSCOPE_FAULT_SEED the schedule.
"""

import os
import time
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import psycopg
from fixtures import accounting
from fixtures.accounting import Log, Produced, Verdict
from fixtures.stack import Program, Stack, stack

from faults import killing, replaying
from faults.killing import Killer
from faults.settling import judge_doubt, settle
from shared.pb import telemetry_pb2 as pb

KILLS: Final = int(os.environ.get("NEPHOSCOPE_FAULT_KILLS", "30"))
SEED: Final = int(os.environ.get("NEPHOSCOPE_FAULT_SEED", "20261122"))
SOURCES: Final = ("alpha", "beta", "gamma", "delta")
INTERVALS: Final = {"fast": 500, "slow": 1000}  # milliseconds, of the plans of LedgerCollector
FRAMES_PER_SECOND: Final = 4
DURABLE: Final = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


def test_every_sample_once_whatever_is_killed(tmp_path: Path) -> None:
    with stack(tmp_path) as made:
        assert durability(made.database.url) == DURABLE
        config = made.satellite("harried", dict.fromkeys(SOURCES, "ledger"))
        ledger = tmp_path / "ledger"
        satellite = made.program("satellite", "faults.satellite_program", str(config), str(ledger))
        began = time.monotonic()
        killer = kill_all(made, satellite, ledger)
        seconds = time.monotonic() - began
        under_fire = len(accounting.read_ledger(ledger))
        settle(made, {config: satellite}, ledger)
        produced, log = accounting.read_ledger(ledger), accounting.read_log(made.database.url)
        verdict = accounting.compare(produced, log)
        again = offered_again(ledger)
        print(summary(killer, verdict, log, again, under_fire / seconds))
        assert under_fire / seconds >= FRAMES_PER_SECOND, "the load was too small to prove anything"
        judge_kills(killer, again)
        judge_samples(verdict, produced, log)
        judge_gaps(log)
        judge_replay(made, config.parent, log)


def durability(url: str) -> dict[str, str]:
    """Return what the server says about keeping what it commits."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(DURABLE)])
        return dict(rows.fetchall())


def kill_all(made: Stack, satellite: Program, ledger: Path) -> Killer:
    """Run the schedule over the three processes; all of them run afterwards."""
    gateway = made.gateway()
    satellite_ends = killing.lives(SEED, "satellite", killing.SATELLITE_POINTS, KILLS)
    gateway_ends = killing.lives(SEED, "gateway", killing.GATEWAY_POINTS, KILLS)
    victims = [
        killing.program(satellite, satellite_ends),
        killing.program(gateway, gateway_ends),
        killing.postmaster(made.database, killing.lives(SEED, "postmaster", (), KILLS)),
    ]
    for victim in victims[:2]:
        victim.begin()
    killer = Killer(SEED, victims, ledger, made.database)
    killer.run()
    return killer


def offered_again(ledger: Path) -> int:
    """Return how many frames the satellites offered again and were told that they had been taken."""
    return sum(int(line) for line in ledger.with_suffix(".replayed").read_text(encoding="ascii").split())


def summary(killer: Killer, verdict: Verdict, log: Log, again: int, rate: float) -> str:
    """Return what the run met, in a few lines."""
    tally = killer.tally
    return (
        f"kills {tally.kills}, at failpoints {tally.points}, ended by themselves {tally.by_themselves}\n"
        f"{tally.met_unacknowledged} kills met unacknowledged frames; {again} frames were offered again "
        f"and refused as taken\n"
        f"{rate:.1f} batches/s; {verdict.frames} batches with {verdict.samples} samples in the log, "
        f"{len(verdict.in_doubt)} in doubt, {len(log.gaps)} gaps {dict(Counter(gap.reason for gap in log.gaps))}"
    )


def judge_kills(killer: Killer, again: int) -> None:
    """Check that the faults were real: enough kills met frames under way, and enough frames came twice."""
    tally = killer.tally
    assert all(count >= KILLS for count in tally.kills.values()), tally
    assert tally.met_unacknowledged >= min(10, KILLS), tally
    assert again >= min(5, KILLS // 6)


def judge_samples(verdict: Verdict, produced: Sequence[Produced], log: Log) -> None:
    """Check that the ledger is the log, but for batches whose ledger line a kill cut off: a plan's last of a run."""
    assert verdict.lost == []
    assert verdict.twice == []
    assert verdict.wrong == []
    assert len(log.frames) == len(set(log.frames)), "a frame stands twice in the log"
    assert log.ordinals == list(range(1, len(log.ordinals) + 1)), "the ordinals have holes"
    judge_doubt(verdict, produced, log)
    assert len({frame.epoch for frame in verdict.in_doubt}) <= KILLS


def judge_gaps(log: Log) -> None:
    """Check that what a plan did not see between its first and its last batch is in gaps, and in one each."""
    for source in SOURCES:
        for plan, interval in INTERVALS.items():
            mine = (source, plan)
            seen = sorted(int(batch.times[-1]) for batch in log.batches if (batch.source, batch.plan) == mine)
            gaps = sorted((gap.from_ms, gap.to_ms, gap.reason) for gap in log.gaps if (gap.source, gap.plan) == mine)
            assert any(reason == pb.GAP_REASON_RESTART for _, _, reason in gaps), f"no gap of {mine} is of a restart"
            for earlier, later in pairwise(gaps):
                assert earlier[1] <= later[0], f"two gaps of {mine} overlap: {earlier} {later}"
            for before, after in pairwise(seen):
                silent = accounting.longest_silence(before, after, gaps)
                # A cycle may begin late within its interval, so that two neighbours are just below two intervals apart.
                assert silent < 2 * interval, f"nothing says why {mine} saw nothing for {silent} ms after {before}"


def judge_replay(made: Stack, folder: Path, log: Log) -> None:
    """Check that what is sent again byte for byte is acknowledged as replayed, and the log stays as it is."""
    frames = replaying.spooled(folder / "state")
    assert len(frames) >= 5, "the spool kept nothing that could be sent again"
    replayed = replaying.replay(folder, made.port, frames)
    assert replayed == {(frame.epoch, frame.sequence) for frame in frames}
    assert accounting.read_log(made.database.url).ordinals == log.ordinals
