"""All sources, each in a task of its own: started at once, stopped with a deadline, none waiting for another.

The one promise: whatever one source does, the others keep their instants.
"""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from satellite.clock import Clock
from satellite.config import SatelliteConfig, Source
from satellite.coverage import Ends
from satellite.series import Series
from satellite.source import SourceRunner
from satellite.source_output import Put
from satellite.threads import SourceContext, SourceThreads
from shared.pb import uplink_pb2

_log = logging.getLogger(__name__)
STOP_SECONDS: Final = 1.5


class Scheduler:
    """The sources of a satellite."""

    def __init__(
        self,
        config: SatelliteConfig,
        series: Series,
        put: Put,
        clock: Clock,
        ends: Ends,
        positions: Mapping[str, str],
    ) -> None:
        """Prepare a runner for every source whose collector is loaded; ends and positions are those of earlier runs."""
        self._config = config
        self._earlier, self._positions = ends, positions
        self._threads: dict[str, SourceThreads] = {}
        self._runners: dict[str, SourceRunner] = {}
        self._left_out: dict[str, Source] = {}
        self._tasks: list[asyncio.Task[None]] = []
        for source in config.sources.values():
            if source.collector is None or source.settings is None:
                _log.warning("source %s is left out: collector %s: %s", source.name, source.kind, source.why)
                self._left_out[source.name] = source
                continue
            threads = self._threads[source.name] = SourceThreads(source.name)
            context = SourceContext(source.name, config.site, threads, clock)
            self._runners[source.name] = SourceRunner(
                source.name,
                source.collector(source.settings, context),
                threads,
                series,
                put,
                clock,
                pause_file(config, source.name),
                ends,
                positions.get(source.name),
            )

    async def run(self) -> None:
        """Run all sources until cancelled; raises what ends a runner, which no source does (SpoolBrokenError)."""
        self._tasks = [
            asyncio.create_task(runner.run(), name=f"source {name}") for name, runner in self._runners.items()
        ]
        try:
            if not self._tasks:
                _log.warning("no source is configured: there is nothing to collect")
                await asyncio.Event().wait()
            done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            await self._stop()

    def send_full_inventories(self) -> None:
        """Let every source send its whole inventory: the session is new."""
        for runner in self._runners.values():
            runner.send_full_inventory()

    def ends(self) -> Ends:
        """Return how far every plan is accounted for, those of an earlier run included."""
        ends = dict(self._earlier)
        for runner in self._runners.values():
            ends |= runner.ends()
        return ends

    def positions(self) -> dict[str, str]:
        """Return where the events of every source go on, those of an earlier run included."""
        positions = dict(self._positions)
        for name, runner in self._runners.items():
            if (position := runner.position()) is not None:
                positions[name] = position
        return positions

    def status(self) -> list[uplink_pb2.SourceStatus]:
        """Return state and cost of every source, those left out included."""
        statuses = [runner.status() for runner in self._runners.values()]
        for source in self._left_out.values():
            statuses.append(  # noqa: PERF401 - a message is easier to read this way
                uplink_pb2.SourceStatus(source=source.name, collector=source.kind, state="failing", message=source.why)
            )
        return statuses

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
            for task in late:
                _log.warning("%s does not end and is left behind", task.get_name())
        # Not before: a source says goodbye in one of them, or its session would stay behind at the other end.
        for threads in self._threads.values():
            threads.stop()


def pause_file(config: SatelliteConfig, source: str) -> Path:
    """Return the file whose existence pauses a source."""
    return config.state / "paused" / source
