"""A satellite process of the ingest benchmark: numpy arrays into the real `series`, spool and uplink, at full speed.

`python -m bench.feeder CONFIG PROGRESS NUMBER GUESTS START_MS`, until SIGTERM. Its count grows by what is acknowledged.
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


class CountingSpool(Spool):
    """The spool, telling whoever waits that frames were acknowledged."""

    def __init__(self, state: Path, now_ms: SystemClock) -> None:
        super().__init__(state, now_ms.now_ms, bounds=Bounds(keep_hours=0))
        self.acknowledged = asyncio.Event()

    def acknowledge(self, epoch: bytes, ranges: Iterable[tuple[int, int]]) -> None:
        super().acknowledge(epoch, ranges)
        self.acknowledged.set()


class Feeder:
    """Hands one batch after the other to the satellite's own code."""

    def __init__(self, spool: CountingSpool, number: int, guests: int, start_ms: int) -> None:
        self._spool = spool
        self._series = Series(spool, mix.METRICS)
        self._source = f"bench-{number}"
        self._data = mix.generate(number, guests, CYCLES)
        self._start_ms = start_ms
        self._cycle = 0
        resources = [ResourceKey(Kind.GUEST, f"guest-{guest}") for guest in range(guests)]
        self._layouts = [
            Layout(metric, tuple(SeriesKey(resource, metric) for resource in resources)) for metric in mix.METRICS
        ]

    async def produce(self) -> None:
        """Produce batches for ever, as fast as they are acknowledged."""
        while True:
            while len(self._spool.current.pending) >= WAITING:
                self._spool.acknowledged.clear()
                await self._spool.acknowledged.wait()
            for frame in await self._series.frames(self._source, PLAN, self._readings(), time.monotonic_ns()):
                await self._spool.append(frame)

    def _readings(self) -> Readings:
        cycle, self._cycle = self._cycle, self._cycle + 1
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
            tasks += [group.create_task(feeder.produce()) for _ in range(PRODUCERS)]
            stop = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
            await stop.wait()
            for task in tasks:
                task.cancel()
    await spool.close()


def load(config: Path) -> dict[str, Any]:
    """Read a satellite.toml and make its state folder."""
    (config.parent / "state").mkdir()
    return tomllib.loads(config.read_text(encoding="utf-8"))


if __name__ == "__main__":
    asyncio.run(feed(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])))
