"""Sources beside each other: one that hangs, one that fails, one that is fine."""

import asyncio
import time
from pathlib import Path
from typing import Any

from fixtures.collectors import METRIC, ScriptedCollector, ScriptedConfig
from fixtures.waiting import wait_until

from satellite.clock import SystemClock
from satellite.collector import SourceUnreachableError
from satellite.config import SatelliteConfig, Source
from satellite.scheduler import Scheduler
from satellite.series import Series
from satellite.spool import Spool
from shared.pb import uplink_pb2


class Hangs(ScriptedCollector):
    """Blocks in its thread and ignores every deadline."""

    async def open(self) -> None:
        await self.context.call(time.sleep, 3)


class Fails(ScriptedCollector):
    """Never opens."""

    async def open(self) -> None:
        raise SourceUnreachableError("nobody is there")


def config(folder: Path, **collectors: type[ScriptedCollector]) -> SatelliteConfig:
    sources = {
        name: Source(name, "scripted", collector, ScriptedConfig(interval=0.1))
        for name, collector in collectors.items()
    }
    sources["absent"] = Source("absent", "libvirt", None, None, "no module named libvirt")
    path = folder / "x"
    return SatelliteConfig(path, "home", "local", ("a:1",), path, path, path, folder, sources)


def test_a_source_that_hangs_or_fails_delays_no_other_and_not_the_stop(tmp_path: Path) -> None:
    frames: list[uplink_pb2.Frame] = []

    async def put(frame: uplink_pb2.Frame) -> None:
        frames.append(frame)

    async def scenario() -> None:
        clock = SystemClock()
        series = Series(Spool(tmp_path, clock.now_ms), {METRIC})
        scheduler = Scheduler(
            config(tmp_path, hangs=Hangs, fails=Fails, fine=ScriptedCollector), series, put, clock, {}, {}
        )
        task: asyncio.Task[Any] = asyncio.create_task(scheduler.run())
        await wait_until(lambda: sum(f.batch.source == "fine" for f in frames) >= 5, 2, "the good one goes on")
        states = {status.source: status.state for status in scheduler.status()}
        assert states == {"hangs": "opening", "fails": "failing", "fine": "ok", "absent": "failing"}
        assert any(gap.source == "fails" for frame in frames for gap in frame.gaps.gaps)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=2)
        assert done

    asyncio.run(scenario())
