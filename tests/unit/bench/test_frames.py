"""Frames that are put together from bytes are the frames that protobuf would write, and hold the mix."""

import numpy as np
from bench import mix, wire
from bench.frames import Frames, series
from google.protobuf.internal import encoder

from shared.batches import decode_block, decode_times
from shared.pb import uplink_pb2


def test_a_frame_is_read_as_what_a_satellite_would_send() -> None:
    guests, cycles = 5, 3
    frames, data = Frames(0, guests, cycles, 10_000), mix.generate(0, guests, cycles)
    for sequence, now in ((1, 1_700_000_000_000), (300, 1_700_000_010_123)):
        frame = uplink_pb2.SatelliteMessage.FromString(frames.frame(b"e" * 16, sequence, now)).frame
        assert (frame.epoch, frame.sequence, frame.lane) == (b"e" * 16, sequence, uplink_pb2.LANE_LIVE)
        assert (frame.batch.plan, frame.batch.interval_ms) == ("fast", 10_000)
        instants = decode_times(frame.batch)
        assert instants.tolist() == [now]
        names = list(series(guests))
        assert frames.samples == len(names)
        for block in frame.batch.blocks:
            found = decode_block(block, instants)
            assert [names[one - 1] for one in found.series.tolist()] == [(block.metric, f"guest-{g}") for g in range(5)]
            assert np.array_equal(found.values, data.at(block.metric, sequence % cycles))
        assert [block.metric for block in frame.batch.blocks] == list(mix.METRICS)


def test_varints_are_protobufs() -> None:
    for number in (0, 1, 127, 128, 300, 16_383, 16_384, 2**32, 2**63 - 1):
        assert wire.varint(number) == encoder._VarintBytes(number)  # type: ignore[attr-defined]
