"""A child of the supervisor: a process that is started, watched, started again and, in the end, stopped.

The promise: a child that ends is started again, sooner or later by how often it failed; and no child outlives the
supervisor, since each holds the reading end of a pipe whose writing end only the supervisor has.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

FIRST_PAUSE: Final = 0.5  # seconds, doubled after each failure
LONGEST_PAUSE: Final = 30.0
HEALTHY_SECONDS: Final = 60.0  # who ran this long begins with the first pause again
KEEPS_FAILING: Final = 3  # failures in a row after which the end of the log is shown
LOG_LIMIT: Final = 10 * 1024 * 1024
_SHOWN_LINES: Final = 8
_SCRIPT: Final = str(Path(sys.executable).with_name("nephoscope"))


class Child:
    """One `nephoscope …` process that runs until stop."""

    def __init__(
        self, name: str, arguments: Sequence[str], *, log: Path, alive: int, say: Callable[[str], None]
    ) -> None:
        self.name = name
        self.failures = 0  # in a row
        self._command = (sys.executable, _SCRIPT, *arguments)
        self._log = log
        self._alive = alive
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._keeping: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it, and again whenever it ends."""
        self._keeping = asyncio.create_task(self._keep(), name=f"child {self.name}")

    def ask(self) -> None:
        """Ask it to end for good."""
        self._stopping = True
        if self._process is None and self._keeping is not None:
            self._keeping.cancel()  # it waits for the next try
        self.signal(signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process if it runs."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def gone(self, seconds: float) -> None:
        """Return when it has ended after ask(); it is killed when the seconds pass."""
        if self._keeping is None:
            return
        await asyncio.wait({self._keeping}, timeout=seconds)
        while not self._keeping.done():
            self.signal(signal.SIGKILL)
            await asyncio.wait({self._keeping}, timeout=0.2)

    async def _keep(self) -> None:
        while not self._stopping:
            begun = time.monotonic()
            why = await self._run_once()
            if self._stopping:
                return
            self.failures = 1 if time.monotonic() - begun > HEALTHY_SECONDS else self.failures + 1
            pause = min(FIRST_PAUSE * 2 ** (self.failures - 1), LONGEST_PAUSE)
            self._say(f"{self.name} ended ({why}); it is started again in {pause:g} s, its log is {self._log}")
            if self.failures == KEEPS_FAILING:
                self._show_log()
            await asyncio.sleep(pause)

    async def _run_once(self) -> str:
        rotate(self._log)
        reading, writing = os.pipe()
        try:
            with self._log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command, "--lifeline", str(reading), pass_fds=(reading, self._alive),
                    stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                    start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops them in order
                )  # fmt: skip
            os.close(reading)
            reading = -1
            if self._stopping:
                self.signal(signal.SIGTERM)  # it was asked while it was being made
            status = await self._process.wait()
        except OSError as error:
            return f"it could not be started: {error}"
        finally:
            self._process = None
            os.close(writing)
            if reading >= 0:
                os.close(reading)
        return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"

    def _show_log(self) -> None:
        self._say(f"{self.name} keeps failing; the last lines of its log:")
        for line in last_lines(self._log):
            self._say(f"    {line}")


def rotate(log: Path) -> None:
    """Set a large log aside as NAME.1, in the place of the one before."""
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_name(log.name + ".1"))


def last_lines(log: Path) -> list[str]:
    """Return the last few lines of a log."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 8192))
        return file.read().decode(errors="replace").splitlines()[-_SHOWN_LINES:]
