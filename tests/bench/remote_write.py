"""Prometheus remote write, version 1: the bytes of a WriteRequest, filled by numpy, and snappy around them.

The labels of series and the places of their samples are laid out once; a request copies that layout and puts instants
and values in, so that building one costs a fraction of what any server needs to read it.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import cramjam
import numpy as np
import numpy.typing as npt

from bench.wire import field, varint
from shared.columns import F64, I64

HEADERS: Final = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
# WriteRequest.timeseries, TimeSeries.labels and .samples, Label.name and .value, Sample.value and .timestamp
_SERIES, _LABELS, _SAMPLES, _NAME, _TEXT = 1, 1, 2, 1, 2
_VALUE: Final = b"\x09"  # field 1, eight bytes
_TIME: Final = b"\x10"  # field 2, a varint
_TIME_BYTES: Final = 6  # of the varint of any instant in milliseconds between 1971 and 2109
_SAMPLE: Final = field(_SAMPLES, _VALUE + bytes(8) + _TIME + bytes(_TIME_BYTES))
_VALUE_AT: Final = _SAMPLE.index(_VALUE, 2) + 1
_TIME_AT: Final = len(_SAMPLE) - _TIME_BYTES


class WriteRequests:
    """Requests for the same series, each with the same number of samples."""

    def __init__(self, series: Sequence[Mapping[str, str]], samples: int = 1) -> None:
        parts, places, length = [], [], 0
        for labels in series:
            head = b"".join(
                field(_LABELS, field(_NAME, name.encode()) + field(_TEXT, text.encode()))
                for name, text in sorted(labels.items())
            )
            opening = varint(_SERIES << 3 | 2) + varint(len(head) + samples * len(_SAMPLE)) + head
            parts.append(opening + samples * _SAMPLE)
            places.append(length + len(opening))
            length += len(parts[-1])
        self._layout = np.frombuffer(b"".join(parts), np.uint8)
        first = np.array(places)[:, None] + np.arange(samples) * len(_SAMPLE)
        self._values_at = first[..., None] + _VALUE_AT + np.arange(8)
        self._times_at = first[..., None] + _TIME_AT + np.arange(_TIME_BYTES)

    def encode(self, times: I64, values: F64) -> bytes:
        """Return a WriteRequest: times of shape (samples,) or (series, samples), values of shape (series, samples)."""
        body = self._layout.copy()
        body[self._values_at] = values.astype("<f8").view(np.uint8).reshape(self._values_at.shape)
        body[self._times_at] = _varints(times)
        return body.tobytes()


def compress(request: bytes) -> bytes:
    """Return a request as it travels: one raw snappy block."""
    return bytes(cramjam.snappy.compress_raw(request))


def _varints(times: I64) -> npt.NDArray[np.uint8]:
    """Return instants as varints of six bytes, along a new last axis."""
    groups = (times[..., None] >> (7 * np.arange(_TIME_BYTES))) & 0x7F
    groups[..., :-1] |= 0x80
    assert ((groups[..., -1] > 0) & (times[..., None] >> (7 * _TIME_BYTES) == 0)[..., 0]).all(), "instants before 1971"
    return groups.astype(np.uint8)
