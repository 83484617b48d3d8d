"""The satellite of the accounting test: the real one, with the ledger's collector and a line in the ledger per batch.

`python -m faults.satellite_program CONFIG LEDGER [BEGIN_MS FACTOR [SEGMENT_BYTES SPOOL_BYTES]]`; frames that were
offered again and found to be taken are counted in LEDGER.replayed, one line of a number each time. With BEGIN_MS (UTC,
or empty) it lives from then on, its clock FACTOR times as fast as ours until it has caught up; a fast one's plans are
600 times as slow as usual. The sizes are below what a satellite.toml may say.
"""

import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from fixtures import accounting
from fixtures.accounting import FrameId, Produced

import satellite.clock
import satellite.run
from faults.fast_clock import FastClock
from faults.ledger_collector import LedgerCollector, SlowLedgerCollector
from satellite import session
from shared.batches import decode_times, samples_of
from shared.pb import uplink_pb2

_APPEND: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT


class Noting:
    """Writes both files; a line is one write, which SIGKILL can't tear."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = os.open(ledger, _APPEND, 0o600)
        self._replayed = os.open(ledger.with_suffix(".replayed"), _APPEND, 0o600)

    def appended(self, frame: uplink_pb2.Frame) -> None:
        """Note a batch whose append has returned."""
        if not frame.HasField("batch"):
            return
        batch = frame.batch
        times = decode_times(batch)
        samples = sum(samples_of(block, len(times)) for block in batch.blocks)
        number = FrameId(UUID(bytes=frame.epoch), frame.sequence)
        accounting.note(self._ledger, Produced(number, batch.source, batch.plan, samples, tuple(times.tolist())))

    def watch_replays(self) -> None:
        """Count what Welcome and Ack say of frames that had been taken before this session offered them."""
        take_welcome, take_ack = session.Session._take_welcome, session.Session._take_ack

        async def welcome(self: session.Session, message: uplink_pb2.Welcome) -> None:
            noting.count(part for state in message.epochs for part in state.taken)
            await take_welcome(self, message)

        async def ack(self: session.Session, message: uplink_pb2.Ack) -> None:
            noting.count(message.replayed)
            await take_ack(self, message)

        noting = self
        setattr(session.Session, "_take_welcome", welcome)  # noqa: B010  # what mypy calls assigning to a method
        setattr(session.Session, "_take_ack", ack)  # noqa: B010

    def count(self, ranges: Iterable[uplink_pb2.SequenceRange]) -> None:
        """Add the frames of some ranges to the count."""
        if frames := sum(part.last - part.first + 1 for part in ranges):
            os.write(self._replayed, f"{frames}\n".encode())


def make_small(segment: int, spool: int) -> None:
    """Let segments and spool be small, so that a bound is reached in seconds."""
    # Imported here: this program runs with the code of releases that know nothing of bounds, too.
    from satellite.bounds import Bounds
    from satellite.config import SatelliteConfig, load_config
    from satellite.epoch_writer import EpochWriter
    from satellite.plugins import Found

    def load(path: Path, found: Found) -> SatelliteConfig:
        return replace(load_config(path, found), spool=Bounds(spool))

    setattr(EpochWriter, "SEGMENT_BYTES", segment)  # noqa: B010  # what mypy calls assigning to a constant
    setattr(satellite.run, "load_config", load)  # noqa: B010  # the name is imported there


def main(config: str, ledger: str, begin_ms: str = "", factor: str = "1", segment: str = "", spool: str = "") -> int:
    """Run until SIGTERM."""
    noting = Noting(Path(ledger))
    noting.watch_replays()
    if segment:
        make_small(int(segment), int(spool))
    if begin_ms:
        boot = uuid4().bytes  # its monotonic clock is none of this machine's
        setattr(satellite.clock, "boot_id", lambda: boot)  # noqa: B010  # as above
        setattr(satellite.run, "SystemClock", lambda: FastClock(int(begin_ms), float(factor)))  # noqa: B010  # as above
    collector = LedgerCollector if float(factor) == 1 else SlowLedgerCollector
    return satellite.run.run(Path(config), collectors={"ledger": collector}, on_append=noting.appended)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
