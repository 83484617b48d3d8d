"""What the supervisor is made of: children that are started again, the local satellite's file, the ports."""

import asyncio
import contextlib
import os
import signal
import socket
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.waiting import SLACK, wait_until

from metaconsole import children, listening, local_satellite
from metaconsole.children import Child
from shared import satellite_file


def make_child(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str, say: Callable[[str], None] = print) -> Child:
    """Return a child that runs this code instead of nephoscope; its lifeline is the last argument."""
    script = folder / "nephoscope.py"
    script.write_text(code)
    monkeypatch.setattr(children, "_SCRIPT", str(script))
    return Child("part", ["run"], log=folder / "part.log", alive=os.open(os.devnull, os.O_RDONLY), say=say)


def test_child_that_fails_is_started_again_with_longer_pauses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(children, "FIRST_PAUSE", 0.01)
    said: list[str] = []

    async def run() -> None:
        child = make_child(monkeypatch, tmp_path, "print('why it failed'); raise SystemExit(3)", said.append)
        child.start()
        await wait_until(lambda: child.failures >= 4, 10, "four failures")
        child.ask()
        await child.gone(5 * SLACK)

    asyncio.run(run())
    assert said[0] == f"part ended (exit status 3); it is started again in 0.01 s, its log is {tmp_path / 'part.log'}"
    assert [line for line in said if "in 0.02 s" in line]
    assert [line for line in said if "in 0.04 s" in line]
    assert "    why it failed" in said  # the end of the log, once it keeps failing


def test_child_gets_a_lifeline_that_ends_with_us(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = "import os, sys, time; fd = int(sys.argv[-1]); print(os.read(fd, 1), flush=True); time.sleep(60)"

    async def run() -> int:
        child = make_child(monkeypatch, tmp_path, code)
        child.start()
        await wait_until(lambda: child.pid is not None, 10, "it runs")
        pid = child.pid
        assert pid is not None
        assert os.getsid(pid) == pid  # a terminal's Ctrl-C does not reach it
        pipes = {link for link in links(pid) if link.startswith("pipe:")}
        assert pipes & links(os.getpid())
        child.ask()
        await child.gone(5 * SLACK)
        return pid

    pid = asyncio.run(run())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def links(pid: int) -> set[str]:
    """Return what the descriptors of a process are."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the listing's own descriptor
            found.add(str(entry.readlink()))
    return found


def test_child_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )

    async def run() -> None:
        child = make_child(monkeypatch, tmp_path, code)
        child.start()
        log = tmp_path / "part.log"
        await wait_until(lambda: log.exists() and b"deaf" in log.read_bytes(), 10, "it runs")
        child.ask()
        await child.gone(0.1)
        assert child.pid is None

    asyncio.run(run())


def test_large_log_is_set_aside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(children, "LOG_LIMIT", 3)
    log = tmp_path / "web.log"
    log.write_text("1234")
    children.rotate(log)
    assert not log.exists()
    assert (tmp_path / "web.log.1").read_text() == "1234"


def test_satellites_file_is_its_owners_but_for_the_uplinks(tmp_path: Path) -> None:
    who = local_satellite.Who("home", "local")
    local_satellite.keep_config(tmp_path, who, "127.0.0.1:7443", lambda: satellite_file.MACHINE)
    file = tmp_path / "satellite.toml"
    file.write_text(file.read_text().replace("interval = 10", "interval = 30  # slower"))
    local_satellite.keep_config(tmp_path, who, "127.0.0.1:9999", lambda: satellite_file.MACHINE)
    found = tomllib.loads(file.read_text())
    assert found["uplinks"] == ["127.0.0.1:9999"]
    assert found["sources"] == {"machine": {"collector": "host", "interval": 30}}
    assert "# slower" in file.read_text()
    assert local_satellite.read_who(tmp_path) == who


def test_uplinks_that_the_owner_wrote_stay(tmp_path: Path) -> None:
    who = local_satellite.Who("home", "local")
    local_satellite.keep_config(tmp_path, who, "127.0.0.1:7443", lambda: satellite_file.MACHINE)
    file = tmp_path / "satellite.toml"
    file.write_text(file.read_text().replace("  # follows nephoscope up", ""))
    local_satellite.keep_config(tmp_path, who, "127.0.0.1:9999", lambda: satellite_file.MACHINE)
    assert tomllib.loads(file.read_text())["uplinks"] == ["127.0.0.1:7443"]


def test_bad_file_of_the_satellite_is_named(tmp_path: Path) -> None:
    (tmp_path / "satellite.toml").write_text("site = ")
    with pytest.raises(ValueError, match=r"satellite\.toml"):
        local_satellite.read_who(tmp_path)


def test_libvirt_without_its_binding_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(local_satellite, "libvirt_uri", lambda: "qemu:///system")
    monkeypatch.setattr(local_satellite, "find_spec", lambda _: None)
    assert local_satellite.find_sources(said.append) == satellite_file.MACHINE
    assert "libvirt-dev" in said[0]


def test_libvirt_that_is_here_is_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_satellite, "libvirt_uri", lambda: "qemu:///system")
    monkeypatch.setattr(local_satellite, "find_spec", lambda _: object())
    sources = tomllib.loads(local_satellite.find_sources(print))["sources"]
    assert sources["libvirt"] == {"collector": "libvirt", "uri": "qemu:///system"}


def test_taken_port_says_how_to_choose_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(listening.PortError, match=rf"port {port} of 127\.0\.0\.1 is taken .*--grpc-port"):
            listening.check_port("127.0.0.1", port, "--grpc-port")
    listening.check_port("127.0.0.1", port, "--grpc-port")


def test_foreign_address_is_told() -> None:
    with pytest.raises(listening.PortError, match=r"can't listen on port 8080 of 192\.0\.2\.1"):
        listening.check_port("192.0.2.1", 8080, "--http-port")


@pytest.mark.parametrize(
    ("host", "address"), [("127.0.0.1", "127.0.0.1:80"), ("0.0.0.0", "127.0.0.1:80"), ("::", "[::1]:80")]
)
def test_local_address(host: str, address: str) -> None:
    assert listening.local_address(host, 80) == address


def test_signal_to_a_child_that_is_gone_is_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    child = make_child(monkeypatch, tmp_path, "")
    child.signal(signal.SIGTERM)
    assert child.pid is None
