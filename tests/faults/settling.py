"""The end of a fault test: nothing is produced any more, and everything that was is delivered and read."""

import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg
from fixtures import accounting
from fixtures.accounting import Log, Produced, Verdict
from fixtures.stack import Program, Stack
from fixtures.waiting import wait_for


def settle(made: Stack, satellites: Mapping[Path, Program], ledger: Path) -> None:
    """Stop producing, then let satellites without sources deliver what the spools still hold.

    Satellites by their satellite.toml; they write the one ledger.
    """
    for satellite in satellites.values():
        satellite.stop()
        assert satellite.process is not None
        # A signal that comes before the program has begun ends it as the system does.
        assert satellite.process.returncode in (0, -signal.SIGTERM), satellite.tail()
    drainers = [_drainer(made, config, ledger) for config in satellites]
    for drainer in drainers:
        drainer.start()
    frames = [line.frame for line in accounting.read_ledger(ledger)]

    def delivered() -> bool:
        taken = accounting.taken(made.database.url)
        return all(accounting.holds(taken, frame) for frame in frames)

    wait_for(delivered, 60, "every frame of the ledger is taken")
    for drainer in drainers:
        drainer.stop()


def judge_doubt(verdict: Verdict, produced: Sequence[Produced], log: Log) -> None:
    """Check the batches without a line in the ledger: the end of a satellite cut the line off, of a plan's last one."""
    noted: dict[object, int] = {}
    for line in produced:
        noted[line.frame.epoch, line.source, line.plan] = line.frame.sequence
    batches = {batch.frame: batch for batch in log.batches}
    doubtful = Counter((frame.epoch, batches[frame].source, batches[frame].plan) for frame in verdict.in_doubt)
    assert all(count == 1 for count in doubtful.values()), "a satellite went on after an append without a ledger line"
    for frame in verdict.in_doubt:
        batch = batches[frame]
        assert frame.sequence > noted.get((frame.epoch, batch.source, batch.plan), 0)


def judge_all(url: str, ledger: Path) -> None:
    """Check that the ledger is the log: each frame and each sample once, with the value that it was produced with."""
    produced, log = accounting.read_ledger(ledger), accounting.read_log(url)
    verdict = accounting.compare(produced, log)
    judge_doubt(verdict, produced, log)
    assert (verdict.lost, verdict.twice, verdict.wrong) == ([], [], [])
    assert len(log.frames) == len(set(log.frames)), "a frame stands twice in the log"
    assert log.ordinals == list(range(1, len(log.ordinals) + 1)), "the ordinals have holes"


def read_out(made: Stack, readers: set[str]) -> None:
    """Return when each of some readers has read the whole log."""
    behind = (
        "SELECT reader, name, ordinal, head FROM satellite JOIN unnest(%(readers)s::text[]) AS reader ON true "
        "LEFT JOIN reader_position USING (site_id, satellite_id, reader) WHERE ordinal IS DISTINCT FROM head"
    )

    def done() -> bool:
        with psycopg.connect(made.database.url) as connection:
            return not connection.execute(behind, {"readers": sorted(readers)}).fetchall()

    wait_for(done, 60, f"{readers} have read everything")


def merge_out(made: Stack) -> None:
    """Return when no day has parts that wait to be merged."""

    def done() -> bool:
        with psycopg.connect(made.database.url) as connection:
            return not connection.execute("SELECT FROM part_day WHERE waits OR round > merging").fetchall()

    wait_for(done, 60, "every part is merged")


def _drainer(made: Stack, config: Path, ledger: Path) -> Program:
    quiet = config.with_name("quiet.toml")
    quiet.write_text(config.read_text(encoding="utf-8").partition("[sources.")[0], encoding="utf-8")
    return made.program(f"drainer-{config.parent.name}", "faults.satellite_program", str(quiet), str(ledger))
