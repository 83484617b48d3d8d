"""Three gateways, readers and compactors at once, killed again and again: every sample, every fact, every row once.

NEPHOSCOPE_FAULT_SECONDS sets how long (60), NEPHOSCOPE_FAULT_SEED the schedule.
"""

import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

import numpy as np
import psycopg
from fixtures import accounting
from fixtures.accounting import Log, Produced, StoredBatch
from fixtures.compacted import Sample, everything, hot, in_parts
from fixtures.stack import Program, Stack, free_port, stack
from fixtures.waiting import wait_for

from faults import counting_reader, killing
from faults.killing import Killer, Victim
from faults.settling import judge_doubt, merge_out, read_out, settle
from metaconsole.live_view import LiveView
from shared.pb import telemetry_pb2 as pb

SECONDS: Final = float(os.environ.get("NEPHOSCOPE_FAULT_SECONDS", "60"))
SEED: Final = int(os.environ.get("NEPHOSCOPE_FAULT_SEED", "20261125"))
CROWD: Final = 3  # of each
FOLLOWERS: Final = {"facts", "counting"}
COMPACTOR: Final = {"compactor"}
LIVES: Final = 10_000  # more than the time allows
LATE_SAMPLES: Final = "500"
DAYS_AHEAD: Final = "2"  # of the mergers: the running day becomes chunks, again and again


def test_three_of_each_and_every_row_once(tmp_path: Path) -> None:
    with stack(tmp_path) as made:
        with psycopg.connect(made.database.url) as connection:
            connection.execute(counting_reader.TABLE)
        ports = [free_port() for _ in range(CROWD)]
        ledger = tmp_path / "ledger"
        satellites = {}
        for number in range(CROWD):
            # Each prefers another gateway, and knows the others.
            sources = dict.fromkeys(sources_of(number), "ledger")
            config = made.satellite(f"s{number}", sources, ports[number:] + ports[:number])
            satellites[config] = made.program(
                f"satellite-{number}", "faults.satellite_program", str(config), str(ledger)
            )
        victims = crowd(made, ports)
        for victim in victims:
            victim.begin()
        for satellite in satellites.values():
            satellite.start()
        killer = Killer(SEED, victims, ledger, made.database)
        with Watch(made.database.url) as watch:
            killer.run(SECONDS)
            # Whoever still has a failpoint ahead would meet it while everything settles.
            compactors = victims[-CROWD:]
            for victim in victims:
                victim.kill()
                if victim not in compactors:
                    victim.start("")
            settle(made, satellites, ledger)
            read_out(made, FOLLOWERS)
            logs = read_logs(made)
            # What the kills have left, with what was stored since.
            judge_places(made, logs, finished=False)
            compactors[0].start("")
            read_out(made, COMPACTOR)
            merge_out(made)
            judge_places(made, logs, finished=True)
        produced = accounting.read_ledger(ledger)
        print(f"kills {killer.tally.kills}, at failpoints {killer.tally.points}")
        print(f"{len(produced)} batches; {watch.looks} looks: {watch.parts} at parts, {len(watch.merged)} other chunks")
        judge_kills(killer, victims)
        for number, log in enumerate(logs):
            judge_samples([line for line in produced if line.source in sources_of(number)], log)
        judge_readers(made, logs)
        judge_watch(watch)
        judge_live_view(made, logs)


def read_logs(made: Stack) -> list[Log]:
    """Return what the log holds of each satellite."""
    return [accounting.read_log(made.database.url, who.satellite_id) for who in made.satellites.values()]


def sources_of(number: int) -> list[str]:
    """Return the sources of a satellite, which no other has."""
    return [f"source-{number}-{which}" for which in ("one", "two")]


def crowd(made: Stack, ports: list[int]) -> list[Victim]:
    """Return gateways, the product's readers, readers that count, and compactors, as victims."""
    count = [str(made.database.url)]
    programs = [(made.gateway(port), killing.GATEWAY_POINTS) for port in ports]
    programs += [(made.readers(number), killing.READER_POINTS) for number in range(CROWD)]
    programs += [
        (made.program(f"counting-{number}", "faults.counting_reader", *count), killing.READER_POINTS)
        for number in range(CROWD)
    ]
    compact = ["faults.compactor_program", str(made.database.url), LATE_SAMPLES, DAYS_AHEAD]
    programs += [(made.program(f"compactor-{number}", *compact), killing.COMPACTOR_POINTS) for number in range(CROWD)]
    return [victim(place, *one) for place, one in enumerate(programs)]


def victim(place: int, program: Program, points: tuple[str, ...]) -> Victim:
    """Return a program that dies half of the times at failpoints."""
    return killing.program(program, killing.lives(SEED, f"victim {place}", points, LIVES))


class Watch:
    """Looks at positions, parts and chunks all the time: notes where a position went back, and how chunks grew."""

    def __init__(self, url: str) -> None:
        self.looks = 0
        self.went_back: list[tuple[object, int, int]] = []
        self.parts = 0  # looks at which there were any that wait
        self.merged: set[int] = set()  # how many samples were in chunks
        self._url = url
        self._seen: dict[object, int] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self._over.wait(0.1):
                rows = connection.execute("SELECT reader, satellite_id, ordinal FROM reader_position").fetchall()
                self.looks += 1
                for reader, satellite, ordinal in rows:
                    before = self._seen.get((reader, satellite), 0)
                    if reader in FOLLOWERS | COMPACTOR and ordinal < before:
                        self.went_back.append(((reader, satellite), before, ordinal))
                    self._seen[reader, satellite] = ordinal
                counts = "SELECT (SELECT count(*) FROM unmerged_part), (SELECT coalesce(sum(samples), 0) FROM chunk)"
                ((parts, merged),) = connection.execute(counts).fetchall()
                self.parts += parts > 0
                self.merged.add(merged)


def judge_kills(killer: Killer, victims: list[Victim]) -> None:
    """Check that the faults were real: everybody was killed, at failpoints, and with frames under way."""
    tally = killer.tally
    assert all(tally.kills[victim.name] >= 1 for victim in victims), tally
    assert sum(tally.kills.values()) >= SECONDS / 4, tally
    assert {point.partition(".")[0] for point in tally.points} >= {"store", "gateway", "reader", "merger"}, tally
    assert sum(tally.kills[victim.name] for victim in victims[-CROWD:]) >= SECONDS / 12, tally
    assert not tally.by_themselves, tally
    assert tally.met_unacknowledged >= 5, tally


def judge_samples(produced: list[Produced], log: Log) -> None:
    """Check that the ledger of a satellite is its log."""
    assert produced
    verdict = accounting.compare(produced, log)
    assert (verdict.lost, verdict.twice, verdict.wrong) == ([], [], [])
    judge_doubt(verdict, produced, log)
    assert len(log.frames) == len(set(log.frames)), "a frame stands twice in the log"
    assert log.ordinals == list(range(1, len(log.ordinals) + 1)), "the ordinals have holes"


def judge_readers(made: Stack, logs: list[Log]) -> None:
    """Check that each row of the log was read once, by several processes, and that its facts are there once."""
    with psycopg.connect(made.database.url) as connection:
        counted = connection.execute("SELECT satellite_id, ordinal FROM counted").fetchall()
        log = connection.execute("SELECT satellite_id, ordinal FROM log").fetchall()
        (processes,) = connection.execute("SELECT count(DISTINCT process) FROM counted").fetchall()[0]
        events = connection.execute("SELECT native_id FROM event").fetchall()
        gaps = connection.execute("SELECT plan, from_ms, to_ms, upper('gap_reason_' || reason) FROM gap").fetchall()
    assert Counter(counted) == Counter(log), "a row was read twice, or never"
    assert processes > CROWD, "one process did all the reading"
    told = [event.id for one in logs for event in one.events]
    assert len(told) > SECONDS, "too few events to prove anything"
    assert sorted(native for (native,) in events) == sorted(told)
    found = [(gap.plan, gap.from_ms, gap.to_ms, pb.GapReason.Name(gap.reason)) for one in logs for gap in one.gaps]
    assert Counter(gaps) == Counter(found)


def judge_places(made: Stack, logs: list[Log], *, finished: bool) -> None:
    """Check that hot samples, parts and chunks are what the log holds, each sample once; finished: all in chunks."""
    expected = Counter(sample for log in logs for batch in log.batches for sample in samples_of(batch))
    assert set(expected.values()) == {1}
    (site_id,) = {identity.site_id for identity in made.satellites.values()}
    found = everything(made.database.url, site_id)
    assert (found - expected, expected - found) == ({}, {}), "samples are doubled, or missing"
    with psycopg.connect(made.database.url) as connection:
        waiting = [any(True for _ in place(connection, site_id)) for place in (hot, in_parts)]
    assert waiting == [False, False] if finished else waiting[0], "what stands where proves nothing"


def samples_of(batch: StoredBatch) -> Iterator[Sample]:
    """Yield the samples of a batch with their values' own type."""
    for series, at, metric, bits in zip(
        batch.series.tolist(), batch.at.tolist(), batch.metrics, batch.values, strict=True
    ):
        yield series, at, bits.view(np.float64).item() if metric == accounting.FRACTION else bits.item()


def judge_watch(watch: Watch) -> None:
    """Check that no position went back, and that compactors and mergers had their minute."""
    assert watch.looks > SECONDS, "nobody looked at the positions"
    assert watch.went_back == []
    assert watch.parts > SECONDS / 12, "parts were hardly ever seen"
    assert len(watch.merged) > SECONDS / 12, "chunks were hardly ever merged again"


def judge_live_view(made: Stack, logs: list[Log]) -> None:
    """Check that the one view of the run folder holds the newest value of every series."""
    newest: dict[int, tuple[int, float]] = {}
    for log in logs:
        for batch in log.batches:
            fraction = np.array([metric == accounting.FRACTION for metric in batch.metrics])
            values = np.where(fraction, batch.values.view(np.float64), batch.values.view(np.int64).astype(np.float64))
            for series, at, value in zip(batch.series.tolist(), batch.at.tolist(), values.tolist(), strict=True):
                newest[series] = max(newest.get(series, (0, 0.0)), (at, value))
    ids = np.array(sorted(newest), np.int64)
    expected = [newest[series] for series in ids.tolist()]

    def shown() -> list[tuple[int, float]]:
        times, values, _ = LiveView.open(made.folder / "run").latest(ids)
        return list(zip(times.tolist(), values.tolist(), strict=True))

    wait_for(lambda: shown() == expected, 30, "the live view is what the log says")
