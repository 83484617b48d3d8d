"""The whole satellite as a process: real spool, real uplink, a test collector; killed, paused, stopped."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fixtures.fake_gateway import FakeGateway, serving
from fixtures.waiting import wait_until

from shared.pb import telemetry_pb2

ROOT = Path(__file__).parents[3]
PROGRAM = """
import sys
from pathlib import Path
import grpc.aio
from fixtures.collectors import METRIC, ScriptedCollector
from satellite.run import run

ledger = Path(sys.argv[1]).with_name("ledger").open("a")

def note(frame):
    ledger.write(f"{frame.epoch.hex()} {frame.sequence} {frame.WhichOneof('content')}\\n")
    ledger.flush()

sys.exit(run(Path(sys.argv[1]), {"scripted": ScriptedCollector}, note, metrics={METRIC},
             channels=grpc.aio.insecure_channel))
"""


@asynccontextmanager
async def satellite(folder: Path, gateway: FakeGateway) -> AsyncIterator[subprocess.Popen[bytes]]:
    (folder / "satellite.toml").write_text(
        f'site = "home"\nname = "local"\nuplinks = ["127.0.0.1:{gateway.port}"]\n'
        'certificate = "a"\nkey = "b"\ntrust = "c"\nstate = "state"\n'
        '[sources.s]\ncollector = "scripted"\ninterval = 0.2\n'
    )
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder / "satellite.toml")], env=environment)  # noqa: ASYNC220
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def batches(gateway: FakeGateway) -> list[telemetry_pb2.Batch]:
    return [frame.batch for frame in gateway.frames if frame.HasField("batch")]


def gaps(gateway: FakeGateway, reason: telemetry_pb2.GapReason) -> list[telemetry_pb2.Gap]:
    return [gap for frame in gateway.frames for gap in frame.gaps.gaps if gap.reason == reason]


def test_killed_and_started_again_it_delivers_all_and_tells_the_gap(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(FakeGateway()) as gateway:
            async with satellite(tmp_path, gateway) as process:
                await wait_until(lambda: len(batches(gateway)) >= 3, 10, "batches of the first run")
                process.send_signal(signal.SIGKILL)
                await wait_until(lambda: process.poll() is not None, 5, "its end")
            async with satellite(tmp_path, gateway) as process:
                await wait_until(lambda: len(gateway.hellos) >= 2 and len(batches(gateway)) >= 6, 10, "the second run")
                await wait_until(lambda: gaps(gateway, telemetry_pb2.GAP_REASON_RESTART), 10, "the gap of the restart")
                process.send_signal(signal.SIGTERM)
                await wait_until(lambda: process.poll() is not None, 3, "a stop within 3 s")
                assert process.returncode == 0
            (gap,) = gaps(gateway, telemetry_pb2.GAP_REASON_RESTART)
            assert (gap.source, gap.plan) == ("s", "fast")
            full = {frame.epoch for frame in gateway.frames if frame.inventory.full}
            assert len(full) == 2
            noted = {tuple(line.split()[:2]) for line in (tmp_path / "ledger").read_text().splitlines()}
            status = json.loads((tmp_path / "state" / "status.json").read_text())
            assert status["stopped"] is True
            held = int(status["heartbeat"]["spool_frames"])
            got = {(frame.epoch.hex(), str(frame.sequence)) for frame in gateway.frames}
            assert len(noted - got) <= held
            # A frame may be on the disk, and sent, when the process is killed before it notes it.
            assert len(got - noted) <= 1

    asyncio.run(scenario())


def test_a_pause_by_the_command_is_a_maintenance_gap(tmp_path: Path) -> None:
    async def command(*arguments: str) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _COMMAND,
            *arguments,
            "--config",
            str(tmp_path / "satellite.toml"),
            env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
            stdout=subprocess.DEVNULL,
        )
        assert await asyncio.wait_for(process.wait(), 60) == 0

    async def scenario() -> None:
        async with serving(FakeGateway()) as gateway, satellite(tmp_path, gateway):
            await wait_until(lambda: batches(gateway), 10, "a batch")
            await command("pause", "s")
            await wait_until(lambda: len(gaps(gateway, telemetry_pb2.GAP_REASON_MAINTENANCE)) >= 2, 4, "a growing gap")
            await command("resume", "s")
            before = len(batches(gateway))
            await wait_until(lambda: len(batches(gateway)) > before + 1, 4, "batches again")

    asyncio.run(scenario())


_COMMAND = """
from fixtures.collectors import ScriptedCollector
from satellite import cli
from satellite.plugins import Found
cli.find_collectors = lambda: Found({"scripted": ScriptedCollector}, {})
cli.satellite()
"""


@pytest.mark.parametrize("text", ["site = 1"])
def test_a_wrong_file_is_exit_status_2_with_all_problems(tmp_path: Path, text: str) -> None:
    (tmp_path / "satellite.toml").write_text(text)
    arguments = [sys.executable, "-c", PROGRAM, str(tmp_path / "satellite.toml")]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "site: " in done.stderr
    assert "uplinks: this key is missing" in done.stderr
