"""Holds thousands of light sessions against one gateway process and measures what they got and what they cost.

The one promise: a batch that was sent in the measured span and not answered 5 s after its end took for ever.
"""

import contextlib
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import psutil
from fixtures.stack import Program, Stack, start_gateway
from fixtures.waiting import wait_for

from bench import credentials, progress
from bench.session_feeder import COUNTS, ENDED, SAMPLES, WELCOMED
from shared.columns import F64, I64

FILES_BESIDE: Final = 500  # what a process has open besides its sessions
OPENED_A_SECOND: Final = 150.0  # by all processes together: both ends of the handshakes share this machine
CYCLES: Final = 64  # different batches
GRACE_SECONDS: Final = 5.0  # for answers to what was sent at the end of the span


@dataclass(frozen=True, slots=True)
class Load:
    """How many sessions, of how many guests; every how many seconds a batch, 0 for as fast as answered."""

    sessions: int
    guests: int
    interval: float
    processes: int
    opened_a_second: float = OPENED_A_SECOND


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """What a measured span of sessions brought."""

    span: progress.Span
    batches: F64  # rows of session, sent, acknowledged: those sent within the span
    welcomed: int
    ended: int
    opening_seconds: float
    idle_bytes: int  # resident memory of the gateway before the first session
    held_bytes: int  # and with all of them, at its highest
    complaints: str  # the last that the sessions said

    @property
    def kib_per_session(self) -> float:
        """Memory that the gateway needs for one more session."""
        return (self.held_bytes - self.idle_bytes) / max(self.welcomed, 1) / 1024

    def latency_ms(self, percentile: float) -> float:
        """Milliseconds from sending a batch to its acknowledgement; infinity where it was not answered."""
        took = 1000 * (self.batches[:, 2] - self.batches[:, 1])
        return float(np.percentile(took, percentile, method="higher"))


def hold(made: Stack, load: Load, warm_up: float, seconds: float) -> Held:
    """Open the sessions on a gateway of their own, let them send, measure, and end all of it."""
    _raise_file_limit(load.sessions + FILES_BESIDE)
    members = credentials.prepare(made, load.sessions, load.guests)
    gateway = start_gateway(made)
    idle = psutil.Process(gateway.pid).memory_info().rss
    counts = [progress.create(made.folder / f"sessions-{n}.progress", COUNTS) for n in range(load.processes)]
    began = time.monotonic()
    with _feeders(made, load, members) as running:
        wait_for(
            lambda: _sum(counts, WELCOMED) + _sum(counts, ENDED) >= load.sessions or not _alive(running),
            load.sessions / load.opened_a_second + 60,
            "every session is welcomed, or over",
        )
        opened = time.monotonic()
        roots = {"gateway": gateway.pid, "postgres": made.database.pid, "sessions": running[0].pid}
        span = progress.measure(Samples(counts), roots, warm_up, seconds)
        assert _alive(running), next(program.tail() for program in running if not program.running())
        assert gateway.running(), gateway.tail()
        held = psutil.Process(gateway.pid).memory_info().rss
        time.sleep(min(GRACE_SECONDS, seconds))
    complaints = "; ".join(program.tail()[-500:] for program in running if program.tail())
    batches = _batches(made.folder, load)
    within = (batches[:, 1] >= span.began) & (batches[:, 1] < span.began + span.seconds)
    return Held(
        span, batches[within], _sum(counts, WELCOMED), _sum(counts, ENDED), opened - began, idle, held, complaints
    )


class Samples:
    """Adds up what all processes have counted."""

    def __init__(self, counts: list[I64]) -> None:
        self._counts = counts

    def sum(self) -> int:
        """Return the samples acknowledged so far."""
        return _sum(self._counts, SAMPLES)


def _sum(counts: list[I64], which: int) -> int:
    return int(sum(count[which] for count in counts))


def _alive(programs: list[Program]) -> bool:
    return all(program.running() for program in programs)


@contextlib.contextmanager
def _feeders(made: Stack, load: Load, members: list[credentials.Credentials]) -> Iterator[list[Program]]:
    trust = (made.pki / "ca.pem").read_text(encoding="ascii")
    running = []
    for number in range(load.processes):
        file = made.folder / f"sessions-{number}.json"
        credentials.write(file, members[number :: load.processes], trust)
        places = (made.folder / f"sessions-{number}.progress", made.folder / f"sessions-{number}.npy")
        amounts = (load.guests, CYCLES, load.interval, load.opened_a_second / load.processes)
        arguments = (made.port, file, *places, *amounts)
        program = made.program(f"sessions-{number}", "bench.session_feeder", *map(str, arguments))
        program.start()
        running.append(program)
    try:
        yield running
    finally:
        for program in running:
            program.stop()


def _batches(folder: Path, load: Load) -> F64:
    """Return (session, sent, acknowledged) of every batch, the sessions numbered through."""
    parts = [np.load(folder / f"sessions-{number}.npy") for number in range(load.processes)]
    for number, part in enumerate(parts):
        part[:, 0] = part[:, 0] * load.processes + number
    return np.concatenate(parts)


def _raise_file_limit(wanted: int) -> None:
    """Let this process's children open as many files as sessions need; the machine's own limit must allow it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= wanted, f"{wanted} open files are needed, this machine allows {hard}: raise it with ulimit -Hn"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
