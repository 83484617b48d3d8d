"""The programs of a release, run from the wheel that is kept of it: its own code, with the dependencies of today.

The promise: a process of a release imports nothing of this checkout but the tests' own modules.
"""

import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fixtures.stack import ROOT, Program, environment

_COMMAND: Final = "from shared.cli import main; main()"


@dataclass(frozen=True, slots=True)
class Release:
    """The code of a release, unpacked."""

    version: str
    code: Path

    @property
    def path(self) -> str:
        """The PYTHONPATH of its programs."""
        return os.pathsep.join((str(self.code), str(ROOT / "tests")))

    def of(self, program: Program) -> Program:
        """Return a program of the tests as one of this release."""
        program.extra = {**program.extra, "PYTHONPATH": self.path}
        return program

    def command(self, *arguments: str) -> Sequence[str]:
        """Return its command `nephoscope` with arguments."""
        return (sys.executable, "-c", _COMMAND, *arguments)

    def run(self, *arguments: str, **extra: str) -> str:
        """Run its command to the end and return what it said; extra is of the environment."""
        done = self._run(*arguments, **extra)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def refusal(self, *arguments: str, **extra: str) -> str:
        """Run its command, which fails, and return why."""
        done = self._run(*arguments, **extra)
        assert done.returncode in (1, 2), done.stdout
        return done.stderr

    def _run(self, *arguments: str, **extra: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(*arguments), env=environment(**extra, PYTHONPATH=self.path), cwd="/",
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip


def unpack(folder: Path, into: Path) -> Release:
    """Unpack the wheel in a release's folder, as pip does with what is pure Python."""
    (wheel,) = folder.glob("*.whl")
    code = into / f"nephoscope-{folder.name}"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(code)
    return Release(folder.name, code)
