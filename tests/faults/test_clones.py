"""A satellite's folder is copied while it runs, and the copy is started: two live processes, one identity."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from fixtures import accounting
from fixtures.stack import Program, Stack, stack, start_gateway
from fixtures.waiting import wait_for

from metaconsole.store.database import connect
from metaconsole.store.scope import EVERYTHING
from metaconsole.web.satellites import view

SOURCES = {"alpha": "ledger"}


def test_of_two_live_copies_one_is_served_and_the_other_keeps_what_it_collects(tmp_path: Path) -> None:
    with stack(tmp_path) as made:
        config, ledgers = made.satellite("twin", SOURCES), (tmp_path / "first.ledger", tmp_path / "second.ledger")
        gateway = start_gateway(made)
        first = run(made, "first", config, ledgers[0])
        wait_for(lambda: accounting.stored(made.database.url) > 2, 20, "the first is served")
        copy = Path(shutil.copytree(config.parent, tmp_path / "copy", ignore=shutil.ignore_patterns("*.new")))
        second = run(made, "second", copy / "satellite.toml", ledgers[1])

        wait_for(lambda: rival(made) is not None, 20, "the first comes again, and is turned away")
        waiting = len(accounting.read_ledger(ledgers[0])) + 2
        wait_for(lambda: len(accounting.read_ledger(ledgers[0])) > waiting, 20, "the first goes on collecting")
        assert fenced(made) == 1, "they take the session from each other"
        judge_named(made, gateway, first, second)
        # Of what is produced while the other is served nothing is stored before that one ends.
        newest = accounting.read_ledger(ledgers[0])[waiting - 1].frame
        assert not accounting.holds(accounting.taken(made.database.url), newest)

        first.stop()
        second.stop()
        for folder, ledger in zip((config.parent, copy), ledgers, strict=True):
            drained(made, folder, ledger)
        judge(made, ledgers)


def run(made: Stack, name: str, config: Path, ledger: Path) -> Program:
    program = made.program(name, "faults.satellite_program", str(config), str(ledger))
    program.start()
    return program


def rival(made: Stack) -> dict[str, Any] | None:
    """Return what the page of satellites tells of a second process."""
    with connect(made.database.url) as connection:
        (satellite,) = view.satellites(connection, EVERYTHING)
    found: dict[str, Any] | None = satellite["rival"]
    return found


def fenced(made: Stack) -> int:
    """Return how many processes were fenced by another one."""
    with psycopg.connect(made.database.url) as connection:
        ((processes,),) = connection.execute("SELECT cardinality(superseded) FROM satellite").fetchall()
    return int(processes)


def judge_named(made: Stack, gateway: Program, first: Program, second: Program) -> None:
    """Check that both logs name both processes, and say what to do."""
    told = rival(made)
    assert told is not None
    assert gateway.said("another process holds the identity of satellite twin") >= 1, gateway.tail()
    assert gateway.said(f"of process {told['process']}") >= 1, gateway.tail()
    assert first.said("two processes hold one identity: stop the one that is a copy") == 1, first.tail()
    assert second.said("is lost") == 0, second.tail()


def drained(made: Stack, folder: Path, ledger: Path) -> None:
    """Let a folder deliver what it still holds, without collecting any more."""
    quiet = folder / "quiet.toml"
    quiet.write_text((folder / "satellite.toml").read_text(encoding="utf-8").partition("[sources.")[0], "utf-8")
    frames = [line.frame for line in accounting.read_ledger(ledger)]
    drainer = run(made, f"drainer-{folder.name}", quiet, ledger)

    def delivered() -> bool:
        taken = accounting.taken(made.database.url)
        return all(accounting.holds(taken, frame) for frame in frames)

    wait_for(delivered, 20, f"all of {folder.name} is there")
    drainer.stop()


def judge(made: Stack, ledgers: tuple[Path, Path]) -> None:
    """Check each process's ledger against what is stored of its epochs; no epoch is of both."""
    log = accounting.read_log(made.database.url)
    assert len(log.frames) == len(set(log.frames)), "a frame stands twice in the log"
    assert log.ordinals == list(range(1, len(log.ordinals) + 1)), "the ordinals have holes"
    epochs = []
    for ledger in ledgers:
        produced = accounting.read_ledger(ledger)
        own = {line.frame.epoch for line in produced}
        verdict = accounting.compare(produced, replace(log, batches=[b for b in log.batches if b.frame.epoch in own]))
        assert (verdict.lost, verdict.twice, verdict.wrong) == ([], [], [])
        assert len(verdict.in_doubt) <= 2 * len(SOURCES), "batches that no ledger knows"
        epochs.append(own)
    assert not epochs[0] & epochs[1], "one epoch holds frames of both"
