"""Frames of the light sessions: batches are encoded once, and each sending puts its own number and instant around one.

The one promise: what `frame` returns is what a satellite would send for these values at that instant, byte by byte a
`SatelliteMessage`; fields of a message may stand in any order, so the parts that change come last.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from bench import mix
from bench.wire import field
from shared.columns import encode
from shared.pb import telemetry_pb2, uplink_pb2

PLAN: Final = "fast"
SOURCE: Final = "bench"
_BATCH: Final = uplink_pb2.Frame.DESCRIPTOR.fields_by_name["batch"].number
_FRAME: Final = uplink_pb2.SatelliteMessage.DESCRIPTOR.fields_by_name["frame"].number


class Frames:
    """The mix of a few guests as frames; the cycles repeat."""

    def __init__(self, seed: int, guests: int, cycles: int, interval_ms: int) -> None:
        data = mix.generate(seed, guests, cycles)
        self.samples = len(mix.METRICS) * guests
        self._bodies = [_body(data, cycle, interval_ms) for cycle in range(cycles)]

    def frame(self, epoch: bytes, sequence: int, now_ms: int) -> bytes:
        """Return one frame on the live lane, its batch measured at now_ms."""
        times = telemetry_pb2.Batch(times=encode(np.array([now_ms], np.int64))).SerializeToString()
        batch = self._bodies[sequence % len(self._bodies)] + times
        frame = uplink_pb2.Frame(epoch=epoch, sequence=sequence, lane=uplink_pb2.LANE_LIVE).SerializeToString()
        return field(_FRAME, frame + field(_BATCH, batch))


def _body(data: mix.Mix, cycle: int, interval_ms: int) -> bytes:
    """Return a batch without its instants."""
    guests = data.guests
    blocks = [
        telemetry_pb2.Block(
            metric=metric,
            scope=telemetry_pb2.TIME_SCOPE_BATCH,
            series=encode(np.arange(number * guests + 1, (number + 1) * guests + 1, dtype=np.int64)),
            values=encode(data.at(metric, cycle), in_sequence=False),
        )
        for number, metric in enumerate(mix.METRICS)
    ]
    batch = telemetry_pb2.Batch(source=SOURCE, plan=PLAN, interval_ms=interval_ms, boot_id=bytes(16), blocks=blocks)
    return batch.SerializeToString()


def series(guests: int) -> Iterator[tuple[str, str]]:
    """Yield metric and resource key of each series, in order of the ids that the frames use."""
    for metric in mix.METRICS:
        for guest in range(guests):
            yield metric, f"guest-{guest}"
