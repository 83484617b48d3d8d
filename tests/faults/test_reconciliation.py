"""Frames are taken out of a live site's database, and satellite and gateway killed while they are brought back.

What the satellite produced is in the log once in the end, value by value. NEPHOSCOPE_FAULT_RECALLS sets how often (1),
NEPHOSCOPE_FAULT_SEED the schedule.
"""

import json
import os
import random
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import psycopg
import pytest
from click.testing import CliRunner
from fixtures import accounting
from fixtures.accounting import FrameId
from fixtures.stack import SITE, Program, Stack, stack, start_gateway
from fixtures.waiting import wait_for

from faults.settling import judge_doubt, read_out, settle
from metaconsole.cli_reconcile import reconcile
from metaconsole.home import DATABASE_ENVIRONMENT

ROUNDS: Final = int(os.environ.get("NEPHOSCOPE_FAULT_RECALLS", "1"))
SEED: Final = int(os.environ.get("NEPHOSCOPE_FAULT_SEED", "20261125"))
TAKEN_OUT: Final = 6  # frames a round


def test_what_is_taken_out_of_a_database_comes_back_once_whatever_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(SEED)
    with stack(tmp_path) as made:
        monkeypatch.setenv(DATABASE_ENVIRONMENT, made.database.url)
        config = made.satellite("harried", dict.fromkeys(("alpha", "beta", "gamma", "delta"), "ledger"))
        ledger = tmp_path / "ledger"
        satellite = made.program("satellite", "faults.satellite_program", str(config), str(ledger))
        victims = [satellite, start_gateway(made)]
        satellite.start()
        made.readers().start()
        out: set[FrameId] = set()
        for _ in range(ROUNDS):
            wait_for(lambda: len(read_frames(made)) >= 2 * TAKEN_OUT, 30, "frames are stored and read")
            satellite.stop()  # politely, so that it keeps what was acknowledged, and its next run tells all
            out.update(take_out(made, chance))
            satellite.start()
            for victim in killings(chance, victims):
                victim.kill()
                victim.start()
            wait_for(partial(all_taken, made, out), 30, "what was taken out is stored again")
        settle(made, {config: satellite}, ledger)
        read_out(made, {"facts"})
        log, produced = accounting.read_log(made.database.url), accounting.read_ledger(ledger)
        verdict = accounting.compare(produced, log)
        assert (verdict.lost, verdict.twice, verdict.wrong) == ([], [], [])
        judge_doubt(verdict, produced, log)
        assert len(log.frames) == len(set(log.frames)), "a frame stands twice in the log"
        judge_account(out)


def read_frames(made: Stack) -> list[tuple[FrameId, int]]:
    """Return the batches that the facts reader has passed, with their ordinals, in this order."""
    statement = (
        "SELECT epoch, sequence, log.ordinal FROM log JOIN reader_position p USING (site_id, satellite_id) "
        "WHERE reader = 'facts' AND log.ordinal <= p.ordinal AND kind = 1 ORDER BY log.ordinal"
    )
    with psycopg.connect(made.database.url) as connection:
        rows = connection.execute(statement).fetchall()
    return [(FrameId(epoch, sequence), ordinal) for epoch, sequence, ordinal in rows]


def take_out(made: Stack, chance: random.Random) -> set[FrameId]:
    """Take frames that were read out of log and taken ranges, as the restore of a part would; return them."""
    oldest = read_frames(made)[: 2 * TAKEN_OUT]
    chosen = chance.sample(oldest, TAKEN_OUT)
    with psycopg.connect(made.database.url) as connection:
        connection.execute("SELECT FROM satellite FOR UPDATE")
        for frame, ordinal in chosen:
            connection.execute("DELETE FROM log WHERE ordinal = %s", [ordinal])
            connection.execute(
                "UPDATE epoch SET taken = taken - int8multirange(int8range(%s, %s, '[]')) WHERE epoch = %s",
                [frame.sequence, frame.sequence, frame.epoch],
            )
    return {frame for frame, _ in chosen}


def killings(chance: random.Random, victims: list[Program]) -> Iterator[Program]:
    """Yield whom to kill next, and when."""
    time.sleep(chance.uniform(0.5, 2))
    for victim in chance.sample(victims, len(victims)):
        yield victim
        time.sleep(chance.uniform(0, 0.5))


def all_taken(made: Stack, frames: set[FrameId]) -> bool:
    taken = accounting.taken(made.database.url)
    return all(accounting.holds(taken, frame) for frame in frames)


def judge_account(out: set[FrameId]) -> None:
    """Check that the command knows what was missing, and that it is there once now."""
    result = CliRunner().invoke(reconcile, [SITE, "--json"])
    assert result.exit_code == 0, result.output
    (one,) = json.loads(result.stdout)["satellites"]
    assert one["missing"]["frames"] == one["duplicated"]["frames"] == 0
    noted = {(d["epoch"], n) for d in one["differences"] for n in range(d["first"], d["last"] + 1)}
    assert {(frame.epoch.hex, frame.sequence) for frame in out} <= noted
    assert all(d["stored"] == d["last"] - d["first"] + 1 for d in one["differences"])
