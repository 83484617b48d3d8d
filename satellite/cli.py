"""The command `nephoscope satellite`: run it, check its sources, see its state, pause a source."""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click

from satellite.clock import SystemClock
from satellite.collector import Check
from satellite.config import ConfigError, SatelliteConfig, Source, load_config
from satellite.figures import spool_lines
from satellite.plugins import Found, find_collectors
from satellite.run import run as run_satellite
from satellite.scheduler import pause_file
from satellite.threads import SourceContext, SourceThreads, within

_CHECK_SECONDS: Final = 30.0
_config = click.option(
    "--config", "path", type=click.Path(path_type=Path), required=True, help="The satellite's satellite.toml."
)


@click.group()
def satellite() -> None:
    """Collect at a site and deliver to the metaconsole."""


@satellite.command("run")
@_config
@click.option("--lifeline", type=int, default=None, help="End when this file descriptor reports end of file.")
def run_command(path: Path, lifeline: int | None) -> None:
    """Run until SIGTERM."""
    sys.exit(run_satellite(path, lifeline_fd=lifeline))


@satellite.command("check")
@_config
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check_command(path: Path, as_json: bool) -> None:
    """Open every source and print its readiness report."""
    reports = asyncio.run(_check_all(_load(path)))
    if as_json:
        click.echo(json.dumps({name: [asdict(line) for line in lines] for name, lines in reports.items()}, indent=1))
    else:
        for name, lines in reports.items():
            click.echo(name)
            for line in lines:
                click.echo(f"  {'ok  ' if line.ok else 'FAIL'} {line.name}: {line.detail}")
    if not all(line.ok for lines in reports.values() for line in lines):
        sys.exit(1)


@satellite.command("status")
@_config
def status_command(path: Path) -> None:
    """Print the state that the running satellite wrote last."""
    file = _load(path).state / "status.json"
    try:
        status = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{file} can't be read ({error}); is the satellite running?") from error
    for line in _status_lines(status):
        click.echo(line)


@satellite.command("pause")
@_config
@click.argument("source")
def pause_command(path: Path, source: str) -> None:
    """Pause a source; what is not collected meanwhile is shown as maintenance."""
    file = _pause_file(path, source)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.touch(mode=0o600)
    click.echo(f"source {source} is paused; nephoscope satellite resume {source} ends that")


@satellite.command("resume")
@_config
@click.argument("source")
def resume_command(path: Path, source: str) -> None:
    """Resume a paused source."""
    _pause_file(path, source).unlink(missing_ok=True)
    click.echo(f"source {source} is resumed")


@satellite.command("collectors")
def collectors_command() -> None:
    """List the installed collectors, and why one can't be loaded."""
    found = find_collectors()
    for name, collector in found.collectors.items():
        click.echo(f"{name}: {', '.join(sorted(collector.capabilities))}")
    for name, why in found.missing.items():
        click.echo(f"{name}: not loaded: {why}")


def _load(path: Path, found: Found | None = None) -> SatelliteConfig:
    try:
        return load_config(path, found or find_collectors())
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(2)


def _pause_file(path: Path, source: str) -> Path:
    config = _load(path)
    if source not in config.sources:
        raise click.ClickException(f"{path} has no source {source!r}; it has: {', '.join(config.sources) or 'none'}")
    return pause_file(config, source)


async def _check_all(config: SatelliteConfig) -> dict[str, Sequence[Check]]:
    reports = await asyncio.gather(*(_check(config, source) for source in config.sources.values()))
    return dict(zip(config.sources, reports, strict=True))


async def _check(config: SatelliteConfig, source: Source) -> Sequence[Check]:
    if source.collector is None or source.settings is None:
        return [Check("collector", False, f"{source.kind}: {source.why}")]
    threads = SourceThreads(source.name)
    collector = source.collector(source.settings, SourceContext(source.name, config.site, threads, SystemClock()))
    try:
        async with within(_CHECK_SECONDS):
            try:
                await collector.open()
            except Exception as error:  # noqa: BLE001 - the report goes on and says what is wrong
                opened = Check("open", False, str(error) or type(error).__name__)
                return [opened, *await collector.check()]
            return await collector.check()
    except TimeoutError:
        return [Check("check", False, f"the source did not answer within {_CHECK_SECONDS:g} s")]
    except Exception as error:  # noqa: BLE001 - a collector's bug is a line of the report too
        return [Check("check", False, f"the collector failed: {type(error).__name__}: {error}")]
    finally:
        await collector.close()
        threads.stop()


def _status_lines(status: dict[str, Any]) -> list[str]:
    now = time.time_ns() // 1_000_000
    uplink, beat = status["uplink"], status["heartbeat"]
    ago = (now - int(status["time_ms"])) / 1000
    lines = [f"satellite {status['satellite']} of site {status['site']}, version {status['version']}, {ago:.0f} s ago"]
    if status.get("stopped"):
        lines.append("  stopped")
    if uplink["connected_to"]:
        lines.append(f"  uplink  connected to {uplink['connected_to']}")
    else:
        lines.append(f"  uplink  not connected: {uplink['message']}")
    lines += spool_lines(beat, now)
    for source in beat["sources"]:
        lines.append(f"  source  {source['source']}: {source['state']} {source['message']}".rstrip())
    return lines
