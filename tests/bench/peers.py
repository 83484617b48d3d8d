"""What the peers of a benchmark have in common: the Debian package that a peer comes in, its process, its feeders."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from fixtures.stack import environment

from metaconsole.postgres_place import Identity

ROOT: Final = Path(__file__).parents[1]
STOP_SECONDS: Final = 60.0  # to write out what is still in memory


class AbsentError(Exception):
    """The peer is not installed; the sentence says what to install."""


def find(program: str, package: str) -> str:
    """Return the path of a peer's program; raises AbsentError."""
    path = shutil.which(program, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    if path is None:
        raise AbsentError(f"{program} is not installed: apt-get install {package}")
    return path


def version(package: str) -> str:
    """Return the version of an installed Debian package."""
    command = ["dpkg-query", "-W", "-f=${Version}", package]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout or "version unknown"


@contextlib.contextmanager
def server(command: Sequence[str], log: Path, identity: Identity | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a peer's server as the user given, or as ours; it is ended politely."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
            **(identity or Identity()),
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # its own children too
            process.wait()


@contextlib.contextmanager
def feeders(
    module: str, count: int, arguments: Sequence[object], tail: Sequence[object]
) -> Iterator[Callable[[], bool]]:
    """Run so many processes `python -m module arguments NUMBER tail`; yields what tells whether all of them run.

    When they are told to end they must end well.
    """
    running = [
        subprocess.Popen(
            [sys.executable, "-m", module, *map(str, (*arguments, number, *tail))], cwd=ROOT, env=environment()
        )
        for number in range(count)
    ]
    try:
        yield lambda: all(process.poll() is None for process in running)
    finally:
        for process in running:
            process.terminate()
        codes = [process.wait(STOP_SECONDS) for process in running]
    assert not any(codes), f"a process of {module} failed: {codes}"
