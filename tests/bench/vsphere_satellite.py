"""The satellite of the group `vsphere`: the real one, which notes each frame once it is in the spool.

`python -m bench.vsphere_satellite CONFIG NOTES`; a note is a line of JSON: see `Note`.
"""

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import satellite.run
from satellite.clock import SystemClock, stamp
from shared.batches import decode_times, samples_of
from shared.pb import uplink_pb2


@dataclass(frozen=True, slots=True)
class Note:
    """A frame: when its append returned and when its cycle began (both monotonic nanoseconds), and what it holds."""

    at: int
    began: int
    plan: str = ""
    samples: int = 0
    resources: int = 0
    gaps: tuple[str, ...] = ()


def note_of(frame: uplink_pb2.Frame, at: int) -> Note:
    """Return what is noted of a frame."""
    batch = frame.batch
    samples = sum(samples_of(block, len(decode_times(batch))) for block in batch.blocks)
    gaps = tuple(f"{gap.plan}: {gap.detail}" for gap in frame.gaps.gaps)
    return Note(at, batch.monotonic_ns or at, batch.plan, samples, len(frame.inventory.resources), gaps)


def main(config: str, notes: str) -> int:
    """Run until SIGTERM."""
    file = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    clock = SystemClock()

    def appended(frame: uplink_pb2.Frame) -> None:
        os.write(file, json.dumps(asdict(note_of(frame, stamp(clock).monotonic_ns))).encode() + b"\n")

    return satellite.run.run(Path(config), on_append=appended)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
