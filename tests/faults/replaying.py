"""A second copy of a satellite that sends again, byte for byte, what the metaconsole has already taken.

It holds the satellite's certificate, so that nothing but the accounting stands between its frames and the log.
"""

import queue
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import grpc

from satellite.records import RecordType, scan
from shared import __version__, tls
from shared.pb import uplink_pb2, uplink_pb2_grpc
from shared.protocol import PROTOCOL

_FRAMES: Final = {RecordType.BATCH, RecordType.INVENTORY, RecordType.EVENTS, RecordType.GAPS}
_SECONDS: Final = 30.0


def spooled(state: Path) -> list[uplink_pb2.Frame]:
    """Return every frame that lies in the spool below a state folder, acknowledged or not."""
    frames = []
    for segment in sorted((state / "spool").glob("*/*.segment")):
        data = segment.read_bytes()
        for record in scan(data).records:
            if record.type in _FRAMES:
                frame = uplink_pb2.Frame.FromString(data[record.payload])
                frame.epoch = bytes.fromhex(segment.parent.name.rpartition("-")[2])
                frame.sequence, frame.lane = record.sequence, uplink_pb2.LANE_LIVE
                frames.append(frame)
    return frames


def replay(folder: Path, port: int, frames: Sequence[uplink_pb2.Frame]) -> set[tuple[bytes, int]]:
    """Send the frames with the certificate of the satellite in folder; return those acknowledged as replayed."""
    wanted = {(frame.epoch, frame.sequence) for frame in frames}
    replayed: set[tuple[bytes, int]] = set()
    taken: set[tuple[bytes, int]] = set()
    outbox: queue.SimpleQueue[uplink_pb2.SatelliteMessage | None] = queue.SimpleQueue()
    outbox.put(uplink_pb2.SatelliteMessage(hello=_hello(frames)))
    with _channel(folder, port) as channel:
        stub = uplink_pb2_grpc.UplinkStub(channel)  # type: ignore[no-untyped-call]
        answers = stub.Session(iter(outbox.get, None), timeout=_SECONDS)
        for answer in answers:
            match answer.WhichOneof("message"):
                case "welcome":
                    for frame in frames:
                        outbox.put(uplink_pb2.SatelliteMessage(frame=frame))
                case "ack":
                    taken |= _named(answer.ack.epoch, answer.ack.taken)
                    replayed |= _named(answer.ack.epoch, answer.ack.replayed)
            if taken >= wanted:
                outbox.put(None)
                answers.cancel()
                break
    return replayed


def _named(epoch: bytes, ranges: Sequence[uplink_pb2.SequenceRange]) -> set[tuple[bytes, int]]:
    return {(epoch, sequence) for part in ranges for sequence in range(part.first, part.last + 1)}


def _hello(frames: Sequence[uplink_pb2.Frame]) -> uplink_pb2.Hello:
    hello = uplink_pb2.Hello(
        version=__version__, protocol_major=PROTOCOL[0], protocol_minor=PROTOCOL[1], now_ms=int(time.time() * 1000)
    )
    # As a copy of the satellite would that starts now: one that is behind the original is refused at once.
    hello.epoch, hello.process_nonce, hello.session_counter = bytes(range(16)), bytes(16), hello.now_ms
    for epoch in sorted({frame.epoch for frame in frames}):
        sequences = sorted(frame.sequence for frame in frames if frame.epoch == epoch)
        hello.epochs.add(epoch=epoch, unsent=list(_ranges(sequences)), next_sequence=sequences[-1] + 1)
    return hello


def _ranges(sequences: Sequence[int]) -> Iterator[uplink_pb2.SequenceRange]:
    first = last = sequences[0]
    for sequence in sequences[1:]:
        if sequence != last + 1:
            yield uplink_pb2.SequenceRange(first=first, last=last)
            first = sequence
        last = sequence
    yield uplink_pb2.SequenceRange(first=first, last=last)


def _channel(folder: Path, port: int) -> grpc.Channel:
    names = ("trust.pem", "satellite.key", "satellite.pem")
    credentials = grpc.ssl_channel_credentials(*((folder / name).read_bytes() for name in names))
    options = [*tls.CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", tls.METACONSOLE_NAME)]
    return grpc.secure_channel(f"127.0.0.1:{port}", credentials, options)
