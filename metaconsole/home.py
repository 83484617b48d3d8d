"""The home: the one folder that holds everything of a metaconsole on this machine, and the names of what is in it.

The promise: what is in it is private, one `nephoscope up` at a time uses it, and the next one waits until the last
process of the one before is gone.
"""

import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from metaconsole.locking import try_lock
from metaconsole.postgres_place import OUTSIDE

ENVIRONMENT: Final = "NEPHOSCOPE_HOME"
DATABASE_ENVIRONMENT: Final = "NEPHOSCOPE_DATABASE_URL"
_LEFTOVER_SECONDS: Final = 20.0  # children end within 9 s of their supervisor, PostgreSQL within 15 s
_NAMES: Final = ("pki", "postgres", "run", "log", "satellite", "running.json", "alive", "lock")  # the lock goes last


class HomeError(Exception):
    """The home can't be used as asked; the text says why and what helps."""


@dataclass(frozen=True, slots=True)
class Running:
    """What other commands need to know of a running `up`."""

    pid: int
    database_url: str
    http_url: str
    enrolment: str = ""  # HOST:PORT where satellites join


@dataclass(frozen=True, slots=True)
class Home:
    """The folder, and where things are in it."""

    path: Path

    @property
    def pki(self) -> Path:
        """The certificate authority and the gateway's certificate."""
        return self.path / "pki"

    @property
    def postgres(self) -> Path:
        """The embedded database, or a note of where it is."""
        return self.path / "postgres"

    @property
    def run(self) -> Path:
        """Files that are worthless after a restart."""
        return self.path / "run"

    @property
    def log(self) -> Path:
        """What the processes say, a file each."""
        return self.path / "log"

    @property
    def satellite(self) -> Path:
        """The local satellite: its satellite.toml, certificate and spool."""
        return self.path / "satellite"

    def prepare(self) -> None:
        """Make the folders that are missing; raises HomeError."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if (owner := self.path.stat().st_uid) != os.geteuid():
                raise HomeError(f"{self.path} belongs to user {owner}: run as that user, or name another --home")
            for folder in (self.pki, self.postgres, self.run, self.log, self.satellite):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise HomeError(f"can't make the home {self.path}: {error.strerror or error}") from error

    @contextmanager
    def hold(self) -> Iterator[int]:
        """Hold the home alone; raises HomeError when another process does.

        Yields the descriptor that every child inherits: who comes next waits until the last of them is gone.
        """
        lock = try_lock(self.path / "lock")
        if lock is None:
            raise HomeError(
                f"nephoscope up already runs on {self.path} ({self._holder()}):"
                " stop it first (Ctrl-C or SIGTERM), or name another --home"
            )
        alive: int | None = None
        try:
            os.truncate(lock, 0)
            os.write(lock, f"process {os.getpid()}\n".encode())
            alive = self._wait_for_the_last()
            yield alive
        finally:
            self._running_file.unlink(missing_ok=True)
            if alive is not None:
                os.close(alive)
            os.close(lock)

    def _holder(self) -> str:
        try:
            return (self.path / "lock").read_text(encoding="utf-8").strip() or "an unknown process"
        except OSError:
            return "an unknown process"

    def _wait_for_the_last(self) -> int:
        deadline = time.monotonic() + _LEFTOVER_SECONDS
        while (alive := try_lock(self.path / "alive")) is None:
            if time.monotonic() > deadline:
                raise HomeError(f"processes of an earlier run on {self.path} do not end: see `fuser {self.path}/alive`")
            time.sleep(0.1)
        return alive

    @property
    def _running_file(self) -> Path:
        return self.path / "running.json"

    def write_running(self, running: Running) -> None:
        """Tell other commands and the children; the file is private, since the database's password is in it."""
        fresh = self._running_file.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(running), file)
        fresh.rename(self._running_file)

    def running(self) -> Running:
        """Return what the running `up` wrote; raises HomeError when there is none."""
        try:
            running = Running(**json.loads(self._running_file.read_text(encoding="utf-8")))
            os.kill(running.pid, 0)
        except (FileNotFoundError, ProcessLookupError):
            raise HomeError(f"nephoscope up is not running on this home: {self.path}") from None
        except (OSError, ValueError, TypeError) as error:
            raise HomeError(f"can't read {self._running_file}: {error}") from error
        return running

    def database_url(self) -> str:
        """Where the database is: NEPHOSCOPE_DATABASE_URL, or what the running `up` wrote; raises HomeError."""
        return os.environ.get(DATABASE_ENVIRONMENT) or self.running().database_url

    def enrolment_address(self) -> str:
        """HOST:PORT where satellites join, as the running `up` knows it; empty where none runs here."""
        try:
            return self.running().enrolment
        except HomeError:
            return ""

    def outside(self) -> Path | None:
        """Return the folder of PostgreSQL outside the home, or None."""
        try:
            folder = Path((self.postgres / "outside").read_text(encoding="utf-8").strip())
            uuid.UUID(folder.name)
        except (OSError, ValueError):
            return None
        return folder if folder.parent == OUTSIDE else None

    def purge(self) -> None:
        """Remove all that is ours of the home, and its folder outside; raises HomeError when it is in use or no home.

        What we did not make stays, and then the folder too.
        """
        if not (self.path / "lock").is_file():
            raise HomeError(f"{self.path} is no home of Nephoscope: nothing is removed")
        with self.hold():
            for target in (self.outside(), *(self.path / name for name in _NAMES)):
                if target is None:
                    continue
                if target.is_dir() and not target.is_symlink():
                    shutil.rmtree(target)
                else:
                    target.unlink(missing_ok=True)
        if not any(self.path.iterdir()):
            self.path.rmdir()


def default_home() -> Path:
    """Return NEPHOSCOPE_HOME, or ~/.local/share/nephoscope."""
    named = os.environ.get(ENVIRONMENT)
    return Path(named) if named else Path.home() / ".local" / "share" / "nephoscope"
