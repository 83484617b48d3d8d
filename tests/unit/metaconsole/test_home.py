"""The home: who may hold it, what others read of it, and what purge removes."""

import os
import threading
from pathlib import Path

import pytest

from metaconsole.home import DATABASE_ENVIRONMENT, Home, HomeError, Running, default_home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "a home")
    made.prepare()
    return made


def test_new_home_and_its_folders_are_private(home: Home) -> None:
    for folder in (home.path, home.pki, home.postgres, home.run, home.log, home.satellite):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    Home(tmp_path).prepare()
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_held_home_names_its_holder(home: Home) -> None:
    with home.hold(), pytest.raises(HomeError, match=rf"already runs on .* \(process {os.getpid()}\)"), home.hold():
        pass
    with home.hold():
        pass


def test_next_one_waits_for_the_last_child(home: Home) -> None:
    with home.hold() as alive:
        inherited = os.dup(alive)  # what a child gets
    entered = threading.Event()

    def next_one() -> None:
        with home.hold():
            entered.set()

    thread = threading.Thread(target=next_one)
    thread.start()
    assert not entered.wait(0.3)
    os.close(inherited)
    thread.join(30)
    assert entered.is_set()


def test_running_is_private_and_goes_with_the_lock(home: Home) -> None:
    running = Running(os.getpid(), "postgresql://x", "http://127.0.0.1:1")
    with home.hold():
        home.write_running(running)
        assert home.running() == running
        assert (home.path / "running.json").stat().st_mode & 0o777 == 0o600
    with pytest.raises(HomeError, match="nephoscope up is not running on this home"):
        home.running()


def test_running_of_a_killed_up_counts_as_none(home: Home) -> None:
    gone = 2**22 + 1  # above the largest process id
    home.write_running(Running(gone, "postgresql://x", "http://127.0.0.1:1"))
    with pytest.raises(HomeError, match="not running"):
        home.running()


def test_own_server_comes_from_the_environment(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATABASE_ENVIRONMENT, "postgresql://own")
    assert home.database_url() == "postgresql://own"


def test_purge_removes_ours_alone(home: Home) -> None:
    (home.path / "lock").touch()
    (home.log / "web.log").write_text("x")
    (home.path / "photo.jpg").write_text("not ours")
    home.purge()
    assert [path.name for path in home.path.iterdir()] == ["photo.jpg"]


def test_purge_refuses_what_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    with pytest.raises(HomeError, match="no home of Nephoscope"):
        Home(tmp_path).purge()
    assert (tmp_path / "log").is_dir()


@pytest.mark.parametrize("named", ["/etc", "/var/lib/nephoscope/../../etc", "/var/lib/nephoscope/x", ""])
def test_purge_never_follows_a_forged_note(home: Home, named: str) -> None:
    (home.postgres / "outside").write_text(named)
    assert home.outside() is None


def test_default_home_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NEPHOSCOPE_HOME", str(tmp_path))
    assert default_home() == tmp_path
    monkeypatch.delenv("NEPHOSCOPE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_home() == tmp_path / ".local/share/nephoscope"
