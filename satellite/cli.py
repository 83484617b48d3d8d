"""The command `nephoscope satellite`: join, run it, check its sources, see its state, pause a source."""

import asyncio
import json
import re
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

import click

from satellite.clock import SystemClock
from satellite.collector import Check
from satellite.config import ConfigError, SatelliteConfig, Source, load_config
from satellite.figures import load_lines, spool_lines
from satellite.metaconsole_clock import ClockOffset, check_against_metaconsole
from satellite.plugins import Found, find_collectors
from satellite.run import run as run_satellite
from satellite.scheduler import pause_file
from satellite.source_clock import check_clock
from satellite.threads import SourceContext, SourceThreads, within
from shared.addresses import PROXY_PATTERN
from shared.cli import Commands

_CHECK_SECONDS: Final = 30.0  # for a source that needs no longer to open
_config = click.option(
    "--config", "path", type=click.Path(path_type=Path), required=True, help="The satellite's satellite.toml."
)


def _checked_proxy(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(PROXY_PATTERN, value):
        raise click.BadParameter("name it as http://HOST:PORT")
    return value


@click.group(cls=Commands, entry_points="nephoscope.satellite_commands")
def satellite() -> None:
    """Collect at a site and deliver to the metaconsole."""


@satellite.command("run")
@_config
@click.option("--lifeline", type=int, default=None, help="End when this file descriptor reports end of file.")
def run_command(path: Path, lifeline: int | None) -> None:
    """Run until SIGTERM."""
    sys.exit(run_satellite(path, lifeline_fd=lifeline))


@satellite.command("join")
@click.option(
    "--out", "--config-dir", "folder", required=True, type=click.Path(file_okay=False, path_type=Path),
    help="The folder to write; one whose satellite lost its certificate keeps all else.",
)  # fmt: skip
@click.option("--token-file", type=click.File(), help="Read the token from this file; - is stdin.")
@click.option("--proxy", callback=_checked_proxy, metavar="http://HOST:PORT", help="Reach the metaconsole through it.")
def join_command(folder: Path, token_file: TextIO | None, proxy: str | None) -> None:
    """Join a site: exchange a token for a certificate of this machine's own key.

    The token is asked for, or read from stdin or --token-file; never give it as an argument, where others can see it.
    """
    from satellite.join import join
    from satellite.probe import JoinError

    try:
        done = join(_token(token_file), folder, proxy, datetime.now(UTC))
    except JoinError as error:
        raise click.ClickException(str(error)) from error
    back = "is back" if done.is_back else "joined"
    click.echo(
        f"{done.name} of site {done.site} {back}; its certificate ends on {done.ends:%Y-%m-%d} and renews itself."
    )
    click.echo("Now run:")
    click.echo(f"  nephoscope satellite check --config {shlex.quote(str(done.config))}")
    click.echo(f"  nephoscope satellite run --config {shlex.quote(str(done.config))}")


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


def _token(file: TextIO | None) -> str:
    if file is not None:
        return file.read(4096)
    if sys.stdin.isatty():
        asked: str = click.prompt("Token (not shown)", hide_input=True)
        return asked
    return sys.stdin.read(4096)


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
    own = check_against_metaconsole(config.state / "status.json", SystemClock().now_ms())
    return {"this satellite": [own], **dict(zip(config.sources, reports, strict=True))}


async def _check(config: SatelliteConfig, source: Source) -> Sequence[Check]:
    if source.collector is None or source.settings is None:
        return [Check("collector", False, f"{source.kind}: {source.why}")]
    threads = SourceThreads(source.name)
    collector = source.collector(source.settings, SourceContext(source.name, config.site, threads, SystemClock()))
    seconds = max(_CHECK_SECONDS, collector.open_seconds)
    try:
        async with within(seconds):
            try:
                await collector.open()
            except Exception as error:  # noqa: BLE001 - the report goes on and says what is wrong
                opened = Check("open", False, str(error) or type(error).__name__)
                return [opened, *await collector.check()]
            return [*await collector.check(), *await check_clock(collector, SystemClock())]
    except TimeoutError:
        return [Check("check", False, f"the source did not answer within {seconds:g} s")]
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
    if offset := ClockOffset.read(status.get("clock", {})):
        lines.append(f"  clock   {offset} of the metaconsole's")
    lines += spool_lines(beat, now)
    for source in beat["sources"]:
        lines.append(f"  source  {source['source']}: {source['state']} {source['message']}".rstrip())
        lines += load_lines(source)
    return lines
