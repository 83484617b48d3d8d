"""`nephoscope up` from its start to its end: refusals, Ctrl-C, kill -9, and children that die."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.up import COMMAND, RunningUp, free_ports, run_up
from fixtures.waiting import SLACK, wait_for


@pytest.fixture(scope="module")
def up() -> Iterator[RunningUp]:
    with run_up() as running:
        yield running


def child(up: RunningUp, words: str) -> int | None:
    """Return the process id of the one child whose command line has these words."""
    found = [pid for pid, line in up.processes().items() if words in line]
    return found[0] if found else None


def is_ready(up: RunningUp) -> bool:
    try:
        return bool(up.api("/sites")["items"])
    except OSError:
        return False


def test_ready_up_answers_and_prints_a_link_of_its_own_address(up: RunningUp) -> None:
    assert [site["name"] for site in up.api("/sites")["items"]] == ["home"]
    assert up.first_link().startswith(f"{up.url}/sign-in/link/")
    assert up.sign_in_link() != up.first_link()


def test_private_files_are_private(up: RunningUp) -> None:
    assert up.home.stat().st_mode & 0o777 == 0o700
    loose = [path for path in up.home.rglob("*") if path.suffix == ".key" and path.stat().st_mode & 0o077]
    assert not loose
    assert list(up.home.rglob("*.key"))


def test_second_up_on_the_same_home_says_who_runs_and_stops(up: RunningUp) -> None:
    http, grpc = free_ports(2)
    second = subprocess.run(
        [COMMAND, "up", "--home", str(up.home), "--http-port", str(http), "--grpc-port", str(grpc)],
        capture_output=True, text=True, timeout=10 * SLACK, check=False,
    )  # fmt: skip
    assert second.returncode != 0
    assert f"process {up.pid}" in second.stderr
    assert is_ready(up)


@pytest.mark.parametrize(
    "words", ["metaconsole gateway", "metaconsole readers", "metaconsole compactor", "satellite run", "keep-postgresql"]
)
def test_killed_child_comes_back(up: RunningUp, words: str) -> None:
    before = child(up, words)
    assert before is not None, up.processes()
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: child(up, words) not in {before, None}, 10, f"another {words} runs")
    wait_for(lambda: is_ready(up), 20, "the API answers again")


def test_user_is_made_with_a_password_from_stdin(up: RunningUp) -> None:
    up.nephoscope("user", "create", "ana", "--role", "viewer", "--password-stdin", stdin="correct horse battery\n")
    assert "/sign-in/link/" in up.sign_in_link("ana")


def test_ctrl_c_and_kill_leave_nothing_and_it_comes_back() -> None:
    with run_up(gateways=2) as up:
        assert len([line for line in up.processes().values() if "metaconsole gateway" in line]) == 2
        up.interrupt()
        assert up.processes() == {}
        assert not (up.home / "running.json").exists()
        up.start()
        up.kill()
        wait_for(lambda: not up.processes(), 15, "nothing runs after kill -9 of up")
        up.start()
        assert is_ready(up)
        up.kill()
        up.start()  # at once: it waits for what is left of the one before
        assert is_ready(up)


def test_taken_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [COMMAND, "up", "--home", str(home), "--http-port", str(port), "--grpc-port", str(free_ports(1)[0])],
            capture_output=True, text=True, timeout=10 * SLACK, check=False,
        )  # fmt: skip
    assert done.returncode != 0
    assert f"port {port} of 127.0.0.1 is taken" in done.stderr
    assert "--http-port" in done.stderr
    assert not list((home / "postgres").iterdir())


def test_command_without_up_says_that_it_does_not_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [COMMAND, "token", "create", "--home", str(tmp_path), "--name", "x", "--scope", "read"],
        capture_output=True, text=True, timeout=10 * SLACK, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert done.stdout == ""
    assert "nephoscope up is not running on this home" in done.stderr
