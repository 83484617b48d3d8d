"""The data of every benchmark: the usual monitoring mix, seeded, the same for every peer.

Of 20 metrics of a guest 8 are noisy gauges, 5 slow gauges, 5 counters and 2 states, one sample each per 10 s, or per
any multiple of it: the same guests seen less often. The one promise: values and instants are a pure function of what
`generate` was given, so whoever stored them can be asked to show them.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from shared.columns import F64, I64

INTERVAL_MS: Final = 10_000
# Names of the catalogue, since both ends refuse others; the shapes below are the mix's own. The catalogue has one state
# so far: a count that hardly ever changes stands for the second.
NOISY: Final = (
    "system.cpu.utilization",
    "system.linux.load.1m",
    "system.linux.load.5m",
    "system.linux.load.15m",
    "system.memory.utilization",
    "system.paging.utilization",
    "system.filesystem.utilization",
    "hw.temperature",
)
SLOW: Final = (
    "system.memory.usage",
    "vm.memory.assigned",
    "vm.memory.ballooned",
    "vm.memory.consumed",
    "storage.usage",
)
COUNTERS: Final = (
    "system.network.io",
    "system.network.packet.count",
    "system.disk.io",
    "system.disk.operations",
    "system.paging.io",
)
STATES: Final = ("resource.state", "system.cpu.logical.count")
METRICS: Final = NOISY + SLOW + COUNTERS + STATES


@dataclass(frozen=True, slots=True, eq=False)
class Mix:
    """Values of every metric, shape (cycles, guests); a counter goes on by `turn` each time the cycles are replayed."""

    values: dict[str, F64 | I64]
    turn: dict[str, I64]
    guests: int
    cycles: int
    seed: int
    interval_ms: int
    jitter_ms: int

    def at(self, metric: str, cycle: int) -> F64 | I64:
        """Return the values of all guests at a cycle, which may lie beyond the generated ones: they repeat."""
        lap, index = divmod(cycle, self.cycles)
        row: F64 | I64 = self.values[metric][index]
        return row + lap * self.turn[metric] if lap and metric in self.turn else row

    def instants(self, start_ms: int, cycle: int) -> I64:
        """Return the instant at which each guest was measured in a cycle: all at once, or jittered around it."""
        due = np.full(self.guests, start_ms + cycle * self.interval_ms, np.int64)
        if not self.jitter_ms:
            return due
        random = np.random.default_rng((self.seed, cycle))
        return due + random.integers(-self.jitter_ms, self.jitter_ms, self.guests, endpoint=True)


def generate(seed: int, guests: int, cycles: int, interval_ms: int = INTERVAL_MS, jitter_ms: int = 0) -> Mix:
    """Return the mix of so many guests over so many cycles; the interval is a multiple of 10 s, raises ValueError."""
    every, rest = divmod(interval_ms, INTERVAL_MS)
    if rest or not every or not 0 <= 2 * jitter_ms < interval_ms:
        raise ValueError(f"an interval is a multiple of {INTERVAL_MS} ms, a jitter less than half of it")
    random, fine = np.random.default_rng(seed), cycles * every
    seen = slice(every - 1, None, every)
    values: dict[str, F64 | I64] = {}
    turn: dict[str, I64] = {}
    for number, name in enumerate(NOISY):
        values[name] = _noisy(random, guests, fine, number)[seen].copy()
    for name in SLOW:
        values[name] = _slow(random, guests, fine)[seen].copy()
    for name in COUNTERS:
        counted, turn[name] = _counter(random, guests, fine)
        values[name] = counted[seen].copy()
    for name in STATES:
        values[name] = _state(random, guests, fine)[seen].copy()
    return Mix(values, turn, guests, cycles, seed, interval_ms, jitter_ms)


def _noisy(random: np.random.Generator, guests: int, cycles: int, number: int) -> F64:
    """Return a level per guest with noise: half are ratios of clock ticks (steps of 0.001), half whole numbers."""
    level = random.lognormal(0.0, 1.0, guests)
    noise = random.lognormal(0.0, 0.4, (cycles, guests))
    if number % 2 == 0:
        ratio: F64 = np.clip(0.1 * level * noise, 0.0, 1.0).round(3)
        return ratio
    rate: F64 = (2_000 * level * noise).round()
    return rate


def _slow(random: np.random.Generator, guests: int, cycles: int) -> I64:
    """Return memory in use and its like: multiples of a page of 4 KiB that stay in two cycles of three."""
    start = random.lognormal(12.0, 1.0, guests).astype(np.int64)
    steps = random.integers(-64, 65, (cycles, guests)) * (random.random((cycles, guests)) < 1 / 3)
    return np.abs(start + np.cumsum(steps, axis=0)) * 4096


def _counter(random: np.random.Generator, guests: int, cycles: int) -> tuple[I64, I64]:
    """Return bytes or nanoseconds that only grow, at a pace of each guest's own; a tenth of the guests is idle."""
    pace = random.lognormal(9.0, 2.0, guests) * (random.random(guests) < 0.9)
    steps = np.round(pace * random.lognormal(0.0, 0.5, (cycles, guests))).astype(np.int64)
    start = random.integers(0, 10**10, guests)
    return start + np.cumsum(steps, axis=0), steps.sum(axis=0)


def _state(random: np.random.Generator, guests: int, cycles: int) -> I64:
    """Return a code that changes about once in 1,000 cycles."""
    code = np.broadcast_to(random.choice([1, 1, 1, 1, 1, 2, 3], guests), (cycles, guests))
    changed = np.cumsum(random.random((cycles, guests)) < 0.001, axis=0)
    return (code + changed - 1) % 3 + 1
