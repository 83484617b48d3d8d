"""The satellite's process: builds spool, series, sources and uplink, and runs them until told to stop.

The one promise: it ends within 3 s of SIGTERM, and what was cut off is a gap of the next run.
"""

import asyncio
import json
import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final

from google.protobuf.json_format import MessageToDict

from satellite.certificate import CertificateFiles
from satellite.channels import ChannelFactory, secure_channels
from satellite.clock import SystemClock, stamp
from satellite.collector import Collector
from satellite.config import ConfigError, SatelliteConfig, load_config
from satellite.coverage import ends_json, ends_of, load_ends
from satellite.disk import advice, free_bytes
from satellite.growth import Growth
from satellite.plugins import Found, find_collectors
from satellite.positions import FILE, Positions, positions_json
from satellite.renewal import Renewal
from satellite.scheduler import Scheduler
from satellite.series import Series
from satellite.spool import Spool
from satellite.spool_errors import SpoolError
from satellite.spool_files import SpoolFiles
from satellite.uplink import Callbacks, SessionState, Uplink
from shared import __version__, lifeline
from shared.pb import uplink_pb2

_log = logging.getLogger(__name__)
OnAppend = Callable[[uplink_pb2.Frame], None]
_STATUS_SECONDS: Final = 5.0
_SWEEP_SECONDS: Final = 1.0
_STOP_SECONDS: Final = 1.8
_HARD_SECONDS: Final = 2.9  # a kill at any instruction is survived, so the end may be one


def run(
    config: Path,
    collectors: Mapping[str, type[Collector]] | None = None,
    on_append: OnAppend | None = None,
    *,
    metrics: Collection[str] | None = None,
    channels: ChannelFactory | None = None,
    files: SpoolFiles | None = None,
    lifeline_fd: int | None = None,
) -> int:
    """Run the satellite of a satellite.toml until SIGTERM or SIGINT; return the exit status.

    The rest is the seam for test programs, which thereby run the real thing: `collectors` (name as in the file ->
    class) stand in for the installed ones; `on_append` is called with every frame, its epoch and sequence set, right
    after spool.append has returned and before anything else happens in the loop; `metrics` are the names that count
    as the catalogue (default: shared.catalogue); `channels` opens the connection to an address (default: mutual TLS
    by the file); `files` does the spool's file operations.
    """
    _log_to_stderr()
    if lifeline_fd is not None:
        lifeline.watch(lifeline_fd)
    try:
        loaded = load_config(config, find_collectors() if collectors is None else Found(collectors, {}))
        satellite = Satellite(loaded, on_append=on_append, metrics=metrics, channels=channels, files=files)
        try:
            return asyncio.run(satellite.run())
        finally:
            satellite.ended()
    except ConfigError as error:
        for problem in str(error).splitlines():
            _log.error("%s", problem)
        return 2
    except SpoolError as error:
        _log.error("%s", error)
        return 1


class Satellite:
    """One satellite, run once."""

    def __init__(
        self,
        config: SatelliteConfig,
        *,
        on_append: OnAppend | None = None,
        metrics: Collection[str] | None = None,
        channels: ChannelFactory | None = None,
        files: SpoolFiles | None = None,
    ) -> None:
        """Take what `run` takes; nothing is touched before `run`."""
        self._config = config
        self._on_append = on_append
        self._metrics = _catalogue() if metrics is None else metrics
        self._certificate = CertificateFiles(config)
        self._channels = channels or secure_channels(self._certificate.load, config.proxy, config.server_name)
        self._files = files or SpoolFiles()
        self._clock = SystemClock()
        self._growth = Growth()
        self._hard_end: threading.Timer | None = None

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT; return the exit status. Raises SpoolError."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        self._build()
        _log.info(
            "satellite %s of site %s runs, version %s, epoch %s, %d sources",
            self._config.name,
            self._config.site,
            __version__,
            self._spool.current.id.hex(),
            len(self._config.sources),
        )
        parts = [self._scheduler.run(), self._uplink.run(), self._keep_house(), self._tell_status()]
        parts.append(self._renewal.run(self._uplink.move))
        tasks = [asyncio.create_task(part) for part in parts]
        waiter = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait([*tasks, waiter], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {waiter}:
                task.result()
        finally:
            await self._stop([*tasks, waiter])
        _log.info("satellite %s has stopped", self._config.name)
        return 0

    def ended(self) -> None:
        """Take back the hard end that a stop prepares for a collector which does not let go."""
        if self._hard_end is not None:
            self._hard_end.cancel()

    def _build(self) -> None:
        state = self._config.state
        try:
            (state / "paused").mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SpoolError(f"the state folder {state} can't be used: {error}; {advice(error)}") from error
        self._spool = Spool(state, self._clock.now_ms, self._files, self._config.spool, load=False)
        ends = load_ends(state / "ends.json")
        positions = Positions(state / FILE)
        for key, until in ends_of(positions.noting(self._spool.previous_frames())).items():
            ends[key] = max(ends.get(key, 0), until)
        # Before the first sweep removes the frames that they were read from, and before anything of this run.
        self._files.replace(state / "ends.json", ends_json(ends))
        self._files.replace(state / FILE, positions_json(self._spool.run, positions.found))
        series = Series(self._spool, self._metrics)
        self._scheduler = Scheduler(self._config, series, self._put, self._clock, ends, positions.found)
        self._renewal = Renewal(self._certificate, self._config.uplinks, self._channels)
        self._uplink = Uplink(
            self._spool,
            self._config.uplinks,
            self._channels,
            SessionState(state / "session.json", self._files),
            Callbacks(
                self._heartbeat,
                self._scheduler.send_full_inventories,
                self._certificate.trust_sha256,
                self._renewal.ask,
                self._certificate.unusable,
            ),
            self._clock,
        )

    async def _put(self, frame: uplink_pb2.Frame) -> None:
        if not frame.HasField("stamped"):
            frame.stamped.CopyFrom(stamp(self._clock))
        await self._spool.append(frame)
        if self._on_append is not None:
            self._on_append(frame)

    def _heartbeat(self) -> uplink_pb2.Heartbeat:
        depth = self._spool.depth()
        kept, free = max(depth.held_bytes - depth.bytes, 0), free_bytes(self._config.state)
        dropped_frames, dropped_samples = self._spool.dropped
        self._growth.note(self._clock.monotonic(), depth.bytes)
        # What is acknowledged gives way, so that it is room; and the disk may be full before the bound is reached.
        room = min(self._spool.bound - depth.bytes, free + kept)
        return uplink_pb2.Heartbeat(
            now_ms=self._clock.now_ms(),
            spool_frames=depth.frames,
            spool_bytes=depth.bytes,
            oldest_unsent_ms=depth.oldest_ms,
            spool_bound_bytes=self._spool.bound,
            spool_kept_bytes=kept,
            spool_full_seconds=self._growth.seconds_until(room),
            spool_dropped_frames=dropped_frames,
            spool_dropped_samples=dropped_samples,
            disk_free_bytes=free,
            sources=self._scheduler.status(),
            frames_produced=self._spool.produced,
            frames_refused=self._uplink.refusals.frames,
            rss_bytes=_rss_bytes(),
            cpu_seconds=time.process_time(),
            backfill_rate=self._uplink.backfill.rate,
        )

    async def _keep_house(self) -> None:
        await self._spool.load()
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            try:
                await self._spool.sweep()
            except OSError as error:
                # Nothing is lost by it: what was acknowledged stays, and is found to be taken when offered again.
                _log.warning("the spool could not be tidied: %s", error)

    async def _tell_status(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._write_files, self._files_content())
            except OSError as error:
                _log.warning("the status could not be written: %s", error)
            await asyncio.sleep(_STATUS_SECONDS)

    def _files_content(self, **more: Any) -> dict[str, bytes]:
        return {
            "ends.json": ends_json(self._scheduler.ends()),
            FILE: positions_json(self._spool.run, self._scheduler.positions()),
            "status.json": json.dumps(self.status() | more, indent=1).encode(),
        }

    def _write_files(self, content: Mapping[str, bytes]) -> None:
        for name, data in content.items():
            self._files.replace(self._config.state / name, data)

    def status(self) -> dict[str, Any]:
        """Return what `nephoscope satellite status` shows."""
        offset = self._uplink.metaconsole_clock.offset() if self._uplink.connected_to else None
        return {
            "site": self._config.site,
            "satellite": self._config.name,
            "version": __version__,
            "time_ms": self._clock.now_ms(),
            "uplink": {
                "connected_to": self._uplink.connected_to,
                "since_ms": self._uplink.since_ms,
                "message": self._uplink.message,
            },
            "clock": offset.told() if offset else {},
            "heartbeat": MessageToDict(
                self._heartbeat(), preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            ),
        }

    async def _stop(self, tasks: list[asyncio.Task[Any]]) -> None:
        self._hard_end = threading.Timer(_HARD_SECONDS, os._exit, (0,))
        self._hard_end.daemon = True
        self._hard_end.start()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_STOP_SECONDS)
        try:
            async with asyncio.timeout(1.0):
                await self._spool.close()
            self._write_files(self._files_content(stopped=True))
        except (OSError, TimeoutError) as error:
            _log.warning("the spool could not be tidied while stopping: %s", error)


def _catalogue() -> frozenset[str]:
    from shared.catalogue import catalogue

    return frozenset(catalogue())


def _rss_bytes() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return float(pages * resource.getpagesize())
    except (OSError, ValueError, IndexError):
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def _log_to_stderr() -> None:
    plain = "%(levelname)s %(message)s" if sys.stderr.isatty() else "%(asctime)s %(levelname)s %(name)s %(message)s"
    logging.basicConfig(level=logging.INFO, format=plain, stream=sys.stderr)
