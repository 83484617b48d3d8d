"""What the peers of a benchmark have in common: the Debian package that a peer comes in, its process, its feeders."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from fixtures.stack import environment

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
def server(command: Sequence[str], log: Path, extra: Mapping[str, int] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a peer's server, ended politely; extra are arguments that choose its user."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", **(extra or {})
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def feeders(module: str, count: int, arguments: Sequence[object], tail: Sequence[object]) -> Iterator[None]:
    """Run so many processes `python -m module arguments NUMBER tail`, all of which must end well when they are told."""
    running = [
        subprocess.Popen(
            [sys.executable, "-m", module, *map(str, (*arguments, number, *tail))], cwd=ROOT, env=environment()
        )
        for number in range(count)
    ]
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        codes = [process.wait(STOP_SECONDS) for process in running]
    assert not any(codes), f"a process of {module} failed: {codes}"
