"""The release before and this checkout, as real processes: either end may be the older one, and each may be replaced.

What is produced is in the log once, value by value, whichever program spooled, sent or stored it.
"""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from fixtures import accounting
from fixtures.stack import SITE, Program, Stack, database, free_port, stack, start_gateway
from fixtures.waiting import wait_for
from released.folders import HERE, RELEASES
from released.program import Release, unpack
from released.schema import schema

from faults.settling import judge_all, settle
from metaconsole import pki
from metaconsole.home import DATABASE_ENVIRONMENT
from metaconsole.store import database as connections
from metaconsole.store.migrate import migrate
from metaconsole.store.scope import EVERYTHING
from metaconsole.web.satellites import view

BATCHES: Final = 2
LEDGER_SOURCE: Final = '[sources.alpha]\ncollector = "ledger"\n'
UNKNOWN: Final = (
    "spool_bound_bytes", "spool_kept_bytes", "spool_full_seconds", "spool_dropped_frames", "spool_dropped_samples",
    "disk_free_bytes", "backfill_rate", "backfill_ends",
)  # fmt: skip


@pytest.fixture
def before(tmp_path: Path) -> Release:
    """Return the release before this one, one minor version older."""
    return unpack(RELEASES[-1], tmp_path)


def test_a_satellite_of_before_delivers_here_and_is_upgraded_and_downgraded_on_its_folder(
    tmp_path: Path, before: Release
) -> None:
    with stack(tmp_path) as made:
        ledger, config = tmp_path / "ledger", made.satellite("edge", {"alpha": "ledger"})
        old, new, again = (satellite(made, name, config, ledger) for name in ("old", "new", "again"))
        for program in (old, again):
            before.of(program)
        old.start()
        produces(ledger, old)
        gateway = start_gateway(made)
        delivers(made, old)
        wait_for(lambda: told(made)["frames_produced"] > 0, 10, "its heartbeat is here")
        seen = told(made)
        assert (seen["state"], seen["version"], seen["skew"]) == ("seen", before.version, "behind")
        assert {name: seen[name] for name in UNKNOWN} == dict.fromkeys(UNKNOWN), "what it lacks is shown as known"
        gateway.kill()
        for program in (old, new, again):  # each leaves a backlog to the next
            if not program.running():
                program.start()
            produces(ledger, program)
            program.stop()
        start_gateway(made)
        settle(made, {config: new}, ledger)
        judge_all(made.database.url, ledger)
        assert new.said(f"version {before.version},") == 0
        assert (old.said(f"version {before.version},"), again.said(f"version {before.version},")) == (1, 1)


def test_a_metaconsole_of_before_takes_what_this_satellite_sends_and_is_upgraded(
    tmp_path: Path, before: Release
) -> None:
    with metaconsole_of(before, tmp_path) as made:
        ledger, config = tmp_path / "ledger", issued(made, before)
        edge = satellite(made, "new", config, ledger)
        edge.start()
        produces(ledger, edge)
        gateway, readers = gateway_of(made, before), before.of(made.readers())
        for program in (gateway, readers):
            program.start()
        delivers(made, edge)
        gateway.kill()
        produces(ledger, edge)
        with connections.connect(made.database.url) as connection:
            assert migrate(connection) != []
        gateway.start()  # somebody forgot it: it stores as before, and the same is true of its readers
        delivers(made, edge)
        assert (gateway.running(), readers.running()) == (True, True), gateway.tail() + readers.tail()
        for program in (gateway, readers):
            program.stop()
        start_gateway(made)
        delivers(made, edge)
        wait_for(lambda: told(made)["skew"] == "same", 10, "its heartbeat is here")
        settle(made, {config: edge}, ledger)
        judge_all(made.database.url, ledger)
        url = {DATABASE_ENVIRONMENT: made.database.url}
        assert "install a newer nephoscope" in before.refusal("metaconsole", "migrate", "--home", str(tmp_path), **url)


def test_a_satellite_of_before_refuses_settings_that_it_does_not_know_and_touches_nothing(
    tmp_path: Path, before: Release
) -> None:
    config = tmp_path / "satellite.toml"
    files = 'certificate = "c"\nkey = "k"\ntrust = "t"\nstate = "state"\nproxy = "http://proxy:3128"\n'
    config.write_text(f'site = "s"\nname = "n"\nuplinks = ["h:1"]\n{files}[spool]\ndays = 14\n', encoding="utf-8")
    why = before.refusal("satellite", "run", "--config", str(config))
    assert "proxy: this key is not known here" in why
    assert "spool: this key is not known here" in why
    assert not (tmp_path / "state").exists()


@contextlib.contextmanager
def metaconsole_of(before: Release, folder: Path) -> Iterator[Stack]:
    """Run a database as a release makes it, with all that its programs need."""
    with database(folder) as server:
        before.run("metaconsole", "migrate", "--home", str(folder), **{DATABASE_ENVIRONMENT: server.url})
        kept = (HERE / before.version / "schema.sql").read_text(encoding="utf-8")
        assert schema(server) == kept, "the wheel is not that release's"
        made = Stack(folder, server, free_port())
        made.pki.mkdir()
        (folder / "run").mkdir()
        pki.renew_gateway(made.pki, datetime.now(UTC))
        try:
            yield made
        finally:
            for program in made.programs:
                program.stop()


def issued(made: Stack, before: Release) -> Path:
    """Let a release issue the folder of a satellite, with the ledger for its source; returns its satellite.toml."""
    out = made.folder / "edge"
    before.run(
        "metaconsole", "issue-satellite", "--home", str(made.folder), "--site", SITE, "--name", "edge",
        "--uplink", f"{made.address}:{made.port}", "--out", str(out), **{DATABASE_ENVIRONMENT: made.database.url},
    )  # fmt: skip
    config = out / "satellite.toml"
    config.write_text(config.read_text(encoding="utf-8").partition("[sources")[0] + LEDGER_SOURCE, encoding="utf-8")
    return config


def gateway_of(made: Stack, before: Release) -> Program:
    """Return the gateway of a release, which knows nothing of enrolment."""
    gateway = before.of(made.gateway())
    at = list(gateway.command).index("--enrol-port")
    gateway.command = [*gateway.command[:at], *gateway.command[at + 2 :]]
    return gateway


def satellite(made: Stack, name: str, config: Path, ledger: Path) -> Program:
    """Return the satellite of this checkout, which notes what it produces; all of them are of one folder."""
    return made.program(f"satellite-{name}", "faults.satellite_program", str(config), str(ledger))


def produces(ledger: Path, program: Program) -> None:
    """Return when a satellite has noted some batches more."""
    noted = len(accounting.read_ledger(ledger))
    wait_for(
        lambda: len(accounting.read_ledger(ledger)) >= noted + BATCHES or not program.running(), 20, "batches are noted"
    )
    assert program.running(), program.tail()


def delivers(made: Stack, program: Program) -> None:
    """Return when some frames more are stored."""
    stored = accounting.stored(made.database.url)
    wait_for(lambda: accounting.stored(made.database.url) >= stored + 2 * BATCHES, 20, f"{program.name} delivers")


def told(made: Stack) -> dict[str, Any]:
    """Return what the API tells of the one satellite."""
    with connections.connect(made.database.url) as connection:
        (one,) = view.satellites(connection, EVERYTHING)
    return one
