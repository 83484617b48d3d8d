"""A part of the metaconsole works on its own schema only: what is older or newer is told, and ends it in order."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.stack import Program, Stack, stack
from fixtures.waiting import wait_for

from metaconsole.store.database import connect
from metaconsole.store.migrate import migrations


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Stack]:
    with stack(tmp_path) as made:
        yield made


def test_processes_end_when_the_schema_becomes_newer_and_do_not_start_on_an_older_one(made: Stack) -> None:
    programs = [made.gateway(), made.readers(), made.compactor()]
    for program in programs:
        program.start()
    wait_for(lambda: made.listening() and all(one.said("run") for one in programs[1:]), 20, "all of them run")
    newest = migrations()[-1].version
    record = "INSERT INTO schema_migration (version, name, checksum) VALUES (%s, 'later', '')"
    with connect(made.database.url) as connection:
        connection.execute(record, (newest + 1,))
    for program in programs:
        ended_with(program, f"schema version {newest + 1}, this program knows versions up to {newest}")
    assert not made.listening()
    with connect(made.database.url) as connection:
        connection.execute("DELETE FROM schema_migration WHERE version >= %s", (newest,))
    for program in programs:
        program.start()
        ended_with(program, f"schema version {newest - 1}, this program needs {newest}: run nephoscope metaconsole mig")


def ended_with(program: Program, sentence: str) -> None:
    wait_for(lambda: not program.running(), 15, f"{program.name} ends by itself")
    assert program.process is not None
    assert (program.process.returncode, program.said(sentence)) == (1, 1), program.tail()
    assert program.said("Traceback") == 0, program.tail()
