"""A satellite process of the ingest benchmark: numpy arrays into the real `series`, spool and uplink, at full speed.

`python -m bench.feeder CONFIG PROGRESS NUMBER GUESTS START_MS`, until SIGTERM. Its count grows by what is acknowledged.
Guests beyond the first 500 are of further sources, so that a batch has 10,000 samples at most. Some seconds after
SIGUSR1, when what waits is through, each guest is polled every 10 s; the batches of that time become rows of (appended,
acknowledged), in monotonic seconds, in the file `acknowledged.npy` beside CONFIG.
"""

import asyncio
import contextlib
import signal
import sys
import time
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench import mix, progress
from bench.copy_feeder import CYCLES
from satellite.bounds import Bounds
from satellite.channels import secure_channels
from satellite.clock import SystemClock
from satellite.collector import PollPlan
from satellite.series import Series
from satellite.spool import Spool
from satellite.uplink import Callbacks, SessionState, Uplink
from shared.columns import I64
from shared.model import Kind, Layout, ReadingBlock, Readings, ResourceKey, SeriesKey
from shared.pb import uplink_pb2

PLAN: Final = PollPlan("fast", mix.INTERVAL_MS / 1000, 5)
WAITING: Final = 96  # batches that may wait for their acknowledgement: half again what may be in flight
PRODUCERS: Final = 8  # batches that may wait for the disk, and so share an fdatasync
SWEEP_SECONDS: Final = 5.0
SOURCE_GUESTS: Final = 500
ACKNOWLEDGED: Final = "acknowledged.npy"
SETTLE_SECONDS: Final = 2.0  # from SIGUSR1 to the first of these batches
GRACE_SECONDS: Final = 5.0  # for answers to the last of them


class CountingSpool(Spool):
    """The spool, telling whoever waits that frames were acknowledged, and when those that somebody asks about were."""

    def __init__(self, state: Path, now_ms: SystemClock) -> None:
        super().__init__(state, now_ms.now_ms, bounds=Bounds(keep_hours=0))
        self.acknowledged = asyncio.Event()
        self.waited: dict[int, float] = {}  # sequence -> when it was appended
        self.took: list[tuple[float, float]] = []  # appended, acknowledged

    def acknowledge(self, epoch: bytes, ranges: Iterable[tuple[int, int]]) -> None:
        ranges, now = list(ranges), time.monotonic()
        super().acknowledge(epoch, ranges)
        if self.waited:
            for first, last in ranges:
                since = (self.waited.pop(sequence, None) for sequence in range(first, last + 1))
                self.took += [(appended, now) for appended in since if appended is not None]
        self.acknowledged.set()


class Feeder:
    """Hands one batch after the other to the satellite's own code."""

    def __init__(self, spool: CountingSpool, number: int, guests: int, start_ms: int) -> None:
        self._spool = spool
        self._series = Series(spool, mix.METRICS)
        count, rest = divmod(guests, SOURCE_GUESTS)
        assert not (count and rest), f"{guests} guests are not so many sources of {SOURCE_GUESTS}"
        # All sources tell the same of the same guests: series are different ones by their source.
        self._sources = [f"bench-{number}", *(f"bench-{number}-{place}" for place in range(1, count))]
        self._data = mix.generate(number, min(guests, SOURCE_GUESTS), CYCLES)
        self._start_ms = start_ms
        resources = [ResourceKey(Kind.GUEST, f"guest-{guest}") for guest in range(self._data.guests)]
        self._layouts = [
            Layout(metric, tuple(SeriesKey(resource, metric) for resource in resources)) for metric in mix.METRICS
        ]
        self._turn = 0
        self._paced: tuple[int, float] | None = None  # from which turn on, and since when

    def pace(self) -> None:
        """Poll each guest every 10 s from a moment on, one source after the other."""
        self._paced = self._turn, time.monotonic() + SETTLE_SECONDS

    async def produce(self) -> None:
        """Produce batches for ever, as fast as they are acknowledged, or at their pace."""
        while True:
            while len(self._spool.current.pending) >= WAITING:
                self._spool.acknowledged.clear()
                await self._spool.acknowledged.wait()
            turn, self._turn = self._turn, self._turn + 1
            if paced := self._paced:
                await asyncio.sleep(self._due(turn, *paced) - time.monotonic())
            cycle, place = divmod(turn, len(self._sources))
            readings, now = self._readings(cycle), time.monotonic_ns()
            for frame in await self._series.frames(self._sources[place], PLAN, readings, now):
                sequence = await self._spool.append(frame)
                if paced:
                    self._spool.waited[sequence] = time.monotonic()

    async def answered(self) -> None:
        """Return once all batches that somebody asks about are acknowledged, or it is too late for that."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                while self._spool.waited:
                    self._spool.acknowledged.clear()
                    await self._spool.acknowledged.wait()

    def _due(self, turn: int, first: int, since: float) -> float:
        return since + (turn - first) * PLAN.interval / len(self._sources)

    def _readings(self, cycle: int) -> Readings:
        blocks = [ReadingBlock(layout, self._data.at(layout.metric, cycle)) for layout in self._layouts]
        return Readings(np.array([self._start_ms + cycle * mix.INTERVAL_MS], dtype=np.int64), blocks)

    async def count(self, counts: I64, number: int) -> None:
        """Keep the count of acknowledged samples, and the spool small, for ever."""
        swept = time.monotonic()
        samples = len(mix.METRICS) * self._data.guests
        while True:
            counts[number] = len(self._spool.current.taken) * samples
            await asyncio.sleep(0.02)
            if time.monotonic() - swept > SWEEP_SECONDS:
                await self._spool.sweep()
                swept = time.monotonic()


async def feed(config: Path, counts: Path, number: int, guests: int, start_ms: int) -> None:
    """Feed until SIGTERM."""
    settings = load(config)
    folder, clock = config.parent, SystemClock()
    spool = CountingSpool(folder / "state", clock)
    files = [folder / settings[name] for name in ("certificate", "key", "trust")]
    channels = secure_channels(lambda: (files[0].read_bytes(), files[1].read_bytes(), files[2].read_bytes()), None)
    heard = Callbacks(lambda: uplink_pb2.Heartbeat(now_ms=clock.now_ms()), lambda: None)
    state = SessionState(folder / "state" / "session")
    uplink = Uplink(spool, settings["uplinks"], channels, state, heard, clock)
    feeder = Feeder(spool, number, guests, start_ms)
    with contextlib.suppress(asyncio.CancelledError):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(uplink.run()), group.create_task(feeder.count(progress.join(counts), number))]
            producers = [group.create_task(feeder.produce()) for _ in range(PRODUCERS)]
            stop = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, feeder.pace)
            await stop.wait()
            for producer in producers:
                producer.cancel()
            await feeder.answered()
            for task in tasks:
                task.cancel()
    await spool.close()
    open_still = [(appended, np.inf) for appended in spool.waited.values()]
    np.save(folder / ACKNOWLEDGED, np.array(spool.took + open_still).reshape(-1, 2))


def load(config: Path) -> dict[str, Any]:
    """Read a satellite.toml and make its state folder."""
    (config.parent / "state").mkdir()
    return tomllib.loads(config.read_text(encoding="utf-8"))


if __name__ == "__main__":
    asyncio.run(feed(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])))
