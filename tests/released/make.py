"""Writes tests/released/VERSION: what a release leaves behind for the tests of all later ones.

`python -m released.make VERSION` (with tests/ on PYTHONPATH) runs a real gateway and a real satellite for some cycles
and keeps the wire contract, the schema, a small dump of real data, a spool with frames nobody took, and the program
itself: its wheel, without the front end. Run it on the commit that the release is tagged at.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from fixtures import accounting
from fixtures.packages import build_wheel
from fixtures.stack import ROOT, Program, Stack, stack, start_gateway
from fixtures.waiting import wait_for

from released import wire
from released.folders import HERE
from released.schema import data, schema

BATCHES = 6
SOURCES = {"alpha": "ledger"}


def main(version: str) -> None:
    """Write the folder of a version, anew where it exists."""
    target = HERE / version
    with tempfile.TemporaryDirectory() as scratch, stack(Path(scratch)) as made:
        fresh = Path(scratch) / "fresh"
        fresh.mkdir()
        (fresh / "descriptors.binpb").write_bytes(wire.current().SerializeToString(deterministic=True))
        (fresh / "schema.sql").write_text(schema(made.database), encoding="utf-8")
        _some_data(made)
        (fresh / "dump.sql").write_text(data(made.database), encoding="utf-8")
        shutil.copytree(_some_spool(made), fresh / "spool")
        _wheel_without_front_end(Path(scratch), fresh)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(fresh, target)
    print(f"wrote {target}: {sum(path.stat().st_size for path in target.rglob('*') if path.is_file()):,} bytes")


def _satellite(made: Stack, name: str) -> tuple[Program, Path]:
    config = made.satellite(name, SOURCES)
    ledger = made.folder / f"{name}.ledger"
    return made.program(name, "faults.satellite_program", str(config), str(ledger)), ledger


def _some_data(made: Stack) -> None:
    """Let a satellite deliver some batches, then stop everything in peace."""
    gateway = start_gateway(made)
    satellite, _ = _satellite(made, "delivering")
    satellite.start()
    wait_for(lambda: len(accounting.read_log(made.database.url).batches) >= BATCHES, 30, "batches arrive")
    satellite.stop()
    gateway.stop()


def _some_spool(made: Stack) -> Path:
    """Let a satellite without a metaconsole fill its spool, and return the spool's folder."""
    satellite, ledger = _satellite(made, "waiting")
    satellite.start()
    wait_for(lambda: len(accounting.read_ledger(ledger)) >= BATCHES, 30, "frames are spooled")
    satellite.stop()
    return made.folder / "waiting" / "state"


def _wheel_without_front_end(scratch: Path, target: Path) -> None:
    """Build the wheel of what is committed, where no bundle was made."""
    archive = scratch / "committed.tar"
    subprocess.run(["git", "archive", "--output", str(archive), "HEAD"], cwd=ROOT, check=True, timeout=60)
    shutil.unpack_archive(archive, scratch / "committed", filter="data")
    build_wheel(scratch / "committed", target)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m released.make VERSION, for instance 0.1.0")
    main(sys.argv[1])
