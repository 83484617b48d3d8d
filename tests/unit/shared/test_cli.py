"""The command finds its parts late, and a missing extra is a sentence."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from click.testing import CliRunner

from shared import __version__
from shared.cli import load_command, main


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_the_version_is_that_of_the_package() -> None:
    assert CliRunner().invoke(main, ["--version"]).output == f"nephoscope {__version__}\n"


def test_a_missing_package_is_a_sentence_and_exit_status_2(modules: Path) -> None:
    (modules / "metaconsole_like.py").write_text("import no_such_package_here\n")
    command = load_command(EntryPoint("up", "metaconsole_like:up", "nephoscope.commands"))
    result = CliRunner().invoke(command, ["--home", "x", "--help"])
    assert result.exit_code == 2
    assert "nephoscope up needs the metaconsole_like's packages" in result.output
    assert "pip install 'nephoscope[metaconsole_like]'" in result.output
    assert "pip install" in (command.get_short_help_str(200))


def test_a_bug_of_our_own_is_not_a_missing_extra(modules: Path) -> None:
    (modules / "own_bug.py").write_text("import satellite.no_such_module\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        load_command(EntryPoint("x", "own_bug:x", "nephoscope.commands"))
    (modules / "no_command.py").write_text("x = 1\n")
    with pytest.raises(TypeError, match="not a click command"):
        load_command(EntryPoint("x", "no_command:x", "nephoscope.commands"))


def test_the_satellite_s_command_is_found_without_loading_the_metaconsole() -> None:
    before = set(sys.modules)
    result = CliRunner().invoke(main, ["satellite", "--help"])
    assert result.exit_code == 0
    for command in ("join", "run", "check", "status", "pause", "resume", "collectors", "token", "revoke"):
        assert command in result.output
    assert not {name for name in set(sys.modules) - before if name.partition(".")[0] in ("flask", "psycopg")}
