"""How far the feeders are: one 64-bit count per process in a file that all of them map.

A count is read without asking its process anything, so that reading costs the measurement nothing.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import psutil
from fixtures.waiting import wait_for

from shared.columns import I64

COUNTED_SECONDS: Final = 60


def create(path: Path, feeders: int) -> I64:
    """Create the file with so many counts of 0 and return them, mapped."""
    counts: I64 = np.memmap(path, dtype=np.int64, mode="w+", shape=(feeders,))
    return counts


def join(path: Path) -> I64:
    """Return the counts of an existing file, mapped for writing."""
    counts: I64 = np.memmap(path, dtype=np.int64, mode="r+")
    return counts


@dataclass(frozen=True, slots=True)
class Span:
    """What a measured span brought; it began at this time of the monotonic clock."""

    began: float
    seconds: float
    samples: int
    cpu_seconds: dict[str, float]

    @property
    def rate(self) -> float:
        """Samples per second."""
        return self.samples / self.seconds


def cpu_seconds(root: int) -> float:
    """Return the CPU time that a process and all its descendants have used, ended ones included."""
    process = psutil.Process(root)
    total = 0.0
    for member in [process, *process.children(recursive=True)]:
        try:
            times = member.cpu_times()
        except psutil.NoSuchProcess:
            continue  # ended meanwhile: its parent's times hold it from now on
        total += times.user + times.system + times.children_user + times.children_system
    return total


class Counts(Protocol):
    """What adds up: an array of counts, or whatever counts otherwise."""

    def sum(self) -> Any:
        """Return the samples so far."""
        ...


def measure(counts: Counts, roots: dict[str, int], warm_up: float, seconds: float) -> Span:
    """Let the feeders run for a warm-up, then measure their counts and the CPU of the named process trees."""
    time.sleep(warm_up)
    started, samples = time.monotonic(), int(counts.sum())
    before = {name: cpu_seconds(pid) for name, pid in roots.items()}
    time.sleep(seconds)
    ended, total = time.monotonic(), int(counts.sum())
    if total == samples:  # a short span on a busy machine: it lasts until there is something to divide by
        wait_for(lambda: int(counts.sum()) > samples, COUNTED_SECONDS, "something is counted")
        ended, total = time.monotonic(), int(counts.sum())
    used = {name: cpu_seconds(pid) - before[name] for name, pid in roots.items()}
    return Span(started, ended - started, total - samples, used)
