"""The web as a process of its own: gunicorn with gevent workers on a real port."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from fixtures.waiting import SLACK, wait_for
from fixtures.web import Site, World, now_ms

from metaconsole.auth import accounts
from metaconsole.settings import Settings
from metaconsole.web.server import ListenError, listen

GAUGE = "system.cpu.utilization"
_PROGRAM = """
import sys
from pathlib import Path
from metaconsole.settings import Settings
from metaconsole.web.server import run
url, folder, port, lifeline = sys.argv[1:]
assert not [name for name in sys.modules if name.split(".")[0] in ("psycopg", "flask", "numpy", "grpc")]
run(Settings(url, run=Path(folder), pki=Path(folder), http_port=int(port)), int(lifeline))
"""


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    port: int
    lifeline: int
    token: str
    connections: list[http.client.HTTPConnection] = field(default_factory=list)
    responses: list[http.client.HTTPResponse] = field(default_factory=list)

    def open(self, method: str, path: str, body: str | None = None) -> http.client.HTTPResponse:
        """Ask on a connection of its own, which is closed at the end of the test."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10 * SLACK)
        self.connections.append(connection)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        self.responses.append(response)
        return response

    def get(self, path: str) -> http.client.HTTPResponse:
        return self.open("GET", path)

    def close(self) -> None:
        for response in self.responses:
            response.close()
        for connection in self.connections:
            connection.close()

    def is_up(self) -> bool:
        assert self.process.poll() is None, "the server ended"
        try:
            return self.get("/healthz").status == 200
        except OSError:
            return False


@pytest.fixture
def server(database_url: str, settings: Settings, tmp_path: Path) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    reading, writing = os.pipe()
    with (tmp_path / "web.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, database_url, str(settings.run), str(port), str(reading)],
            pass_fds=[reading],
            stdout=log,
            stderr=log,
        )
    os.close(reading)
    made = Server(process, port, writing, accounts.create_token(database_url, "tests", "read"))
    try:
        wait_for(made.is_up, 10, "the server answers")
        yield made
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(30)
        made.close()
        if made.lifeline >= 0:
            os.close(made.lifeline)
    said = (tmp_path / "web.log").read_text()
    assert "Traceback" not in said, said
    assert "Warning" not in said, said


def _watch(server: Server, site: Site) -> http.client.HTTPResponse:
    response = server.get(f"/api/v1/live?resource={site.resources['guest']}")
    assert response.status == 200
    assert response.readline().startswith(b"retry")
    return response


@pytest.fixture
def site(world: World) -> Site:
    made = world.site("home")
    world.resource(made, "guest")
    world.batch(made, [now_ms() - 1000], {GAUGE: {world.series(made, "guest", GAUGE): [0.5]}})
    return made


def test_it_stops_at_once_while_streams_are_open(server: Server, site: Site) -> None:
    streams = [_watch(server, site) for _ in range(20)]
    assert json.load(server.get("/api/v1/sites"))["items"][0]["name"] == "home"
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(3 * SLACK)
    assert [one.read().strip() for one in streams] == [b""] * 20
    with pytest.raises(OSError):
        server.get("/healthz")


def test_it_ends_when_its_parent_is_gone(server: Server, site: Site) -> None:
    watching = _watch(server, site)
    os.close(server.lifeline)
    server.lifeline = -1
    server.process.wait(3 * SLACK)
    assert watching.read().strip() == b""


def test_who_waits_for_the_database_holds_up_nobody(server: Server, site: Site, database_url: str) -> None:
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(server.get("/api/v1/sites").status)) for _ in range(6)]
    waiting = """SELECT count(*) FROM pg_stat_activity
        WHERE application_name = 'nephoscope web' AND wait_event_type = 'Lock'"""
    with psycopg.connect(database_url) as lock, psycopg.connect(database_url, autocommit=True) as watch:
        lock.execute("LOCK TABLE site")
        for thread in threads:
            thread.start()
        wait_for(lambda: watch.execute(waiting).fetchone() == (6,), 5, "six requests wait")
        for _ in range(20):
            assert server.get("/healthz").status == 200
        assert answers == []
    for thread in threads:
        thread.join(10 * SLACK)
    assert answers == [200] * 6


def test_queries_work_under_gevent(server: Server, site: Site) -> None:
    select = [{"resource": site.resources["guest"], "metric": GAUGE}]
    body = json.dumps({"select": select, "from": 0, "to": now_ms() + 1, "step": None})
    answers: list[int] = []

    def ask() -> None:
        answers.append(len(json.load(server.open("POST", "/api/v1/query", body))["series"][0]["values"]))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20 * SLACK)
    assert answers == [1] * 20


def test_signing_in_works_under_gevent(server: Server, database_url: str) -> None:
    accounts.create_account(database_url, "ana", "correct horse battery", "viewer")
    credentials = json.dumps({"name": "ana", "password": "correct horse battery"})
    server.token = ""
    assert json.load(server.open("POST", "/api/v1/sign-in", credentials))["name"] == "ana"


def test_no_worker_loads_grpc(server: Server) -> None:
    wait_for(lambda: len(_children(server.process.pid)) == 2, 10, "two workers run")
    for child in _children(server.process.pid):
        maps = Path(f"/proc/{child}/maps").read_text()
        assert "psycopg" in maps
        assert "grpc" not in maps


def test_a_worker_that_dies_is_replaced(server: Server) -> None:
    wait_for(lambda: len(_children(server.process.pid)) == 2, 10, "two workers run")
    first = _children(server.process.pid)
    os.kill(first[0], signal.SIGKILL)
    wait_for(lambda: len(set(_children(server.process.pid)) - set(first)) == 1, 10, "another worker runs")
    wait_for(server.is_up, 10, "the server answers")


def test_a_taken_port_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=f"port {port} of 127.0.0.1 is taken; choose another with --http-port"):
            listen("127.0.0.1", port)
    with pytest.raises(ListenError, match=r"can't listen on no\.such\.host\.invalid"):
        listen("no.such.host.invalid", 8080)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_stopping_is_measured_from_the_signal(server: Server) -> None:
    begun = time.monotonic()
    server.process.send_signal(signal.SIGINT)
    server.process.wait(3 * SLACK)
    assert server.process.returncode == 0, f"after {time.monotonic() - begun:.1f} s"
