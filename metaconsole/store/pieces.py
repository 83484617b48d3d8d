"""The bytes of compacted samples: the values of one series over a span, and the times that series share.

A piece is a format byte, an encoding byte for its values (type in bit 7, encoding of shared/columns below), one for the
counter's start times (0: none), and, where there are starts, the length of the values in 4 bytes, little-endian; then
the data of both columns. A grid is a format byte, an encoding byte, the number of times in 4 bytes, little-endian, and
the data of a column of UTC milliseconds.

The one promise: every format version that was ever written stays readable; an unknown one raises PieceError.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

import numpy as np
from pcodec import ChunkConfig, DeltaSpec, standalone

from shared.columns import F64, I64, VERSION, ColumnError, decode_i64, decode_values, encode
from shared.pb import telemetry_pb2 as pb

FORMAT: Final = 1
SLAB: Final = 16  # series whose hours share a row
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
_INTEGER: Final = 0x80
_HEAD: Final = 3
_LENGTH: Final = 4


class PieceError(ValueError):
    """Stored bytes that are no piece, or of a format that this program does not know."""


def pack_rows(values: F64 | I64, starts: I64 | None, level: int) -> list[bytes]:
    """Return a piece per row of a matrix (series, samples) whose samples follow each other in time.

    starts, of the same shape, are a counter's; 0 is an unknown one. level is pcodec's: 2 for what is soon read and
    written again, 4 for what stays.
    """
    bits = values.view(np.int64)  # so that -0.0 and 0.0 stay what they are
    constant = (bits == bits[:, :1]).all(axis=1)
    differ = _configurations(values, level)
    # Of pieces by the thousand the checks of shared.columns.encode would cost more than the encoding.
    integer = _INTEGER if values.dtype == np.int64 else 0
    arithmetic, packed = integer | pb.ENCODING_ARITHMETIC, integer | pb.ENCODING_PCODEC
    zero = bytes(8)
    began: Sequence[I64 | None] = [None] * len(values) if starts is None else list(starts)
    pieces = []
    for row, is_constant, config, start in zip(values, constant.tolist(), differ, began, strict=True):
        if is_constant:
            encoding, data = arithmetic, row[:1].tobytes() + zero
        else:
            encoding, data = packed, bytes(standalone.simple_compress(row, config))
        pieces.append(_piece(encoding, data, start))
    return pieces


def pack_times(times: I64) -> tuple[int, bytes]:
    """Return the name (a hash of 63 bits) and the bytes of a grid."""
    column = encode(times)
    stored = bytes((FORMAT, column.encoding)) + len(times).to_bytes(_LENGTH, "little") + column.data
    name = int.from_bytes(blake2b(stored, digest_size=8).digest(), "little") >> 1
    return name, stored


def unpack(piece: bytes, samples: int) -> tuple[F64 | I64, I64 | None]:
    """Return the values of a piece and the starts of its counter; raises PieceError."""
    if len(piece) < _HEAD or piece[0] != FORMAT:
        raise PieceError(f"a piece has format version {piece[0] if piece else 'none'}, this program reads {FORMAT}")
    integer, encoding, began = piece[1] & _INTEGER, piece[1] & ~_INTEGER, piece[2]
    try:
        if not began:
            return decode_values(_column(integer, encoding, piece[_HEAD:], samples), samples), None
        data = _HEAD + _LENGTH
        end = data + int.from_bytes(piece[_HEAD:data], "little")
        values = decode_values(_column(integer, encoding, piece[data:end], samples), samples)
        return values, decode_i64(_column(_INTEGER, began, piece[end:], samples), samples)
    except ColumnError as error:
        raise PieceError(f"a piece can't be read: {error}") from error


def unpack_times(stored: bytes, samples: int) -> I64:
    """Return the times of a grid; raises PieceError."""
    head = 2 + _LENGTH
    if len(stored) < head or stored[0] != FORMAT:
        raise PieceError(f"a grid has format version {stored[0] if stored else 'none'}, this program reads {FORMAT}")
    if (count := int.from_bytes(stored[2:head], "little")) != samples:
        raise PieceError(f"a grid of {count} times stands beside a piece of {samples} samples")
    try:
        return decode_i64(_column(_INTEGER, stored[1], stored[head:], samples), samples)
    except ColumnError as error:
        raise PieceError(f"a grid can't be read: {error}") from error


def _configurations(values: F64 | I64, level: int) -> list[Any]:
    """Return per row whether differences are worth storing: where they are smaller than the values' own spread."""
    flat = ChunkConfig(compression_level=level, enable_8_bit=False, delta_spec=DeltaSpec.no_op())
    stepped = ChunkConfig(compression_level=level, enable_8_bit=False, delta_spec=DeltaSpec.try_consecutive(1))
    if values.shape[1] < 2:
        return [flat] * len(values)
    floats = values.astype(np.float64, copy=False)
    spread = np.abs(floats - floats.mean(axis=1, keepdims=True)).mean(axis=1)
    moved = np.abs(np.diff(floats, axis=1)).mean(axis=1)
    return [stepped if small else flat for small in (moved < spread).tolist()]


def _piece(encoding: int, data: bytes, start: I64 | None) -> bytes:
    if start is None or not start.any():
        return bytes((FORMAT, encoding, 0)) + data
    began = encode(start)
    return bytes((FORMAT, encoding, began.encoding)) + len(data).to_bytes(_LENGTH, "little") + data + began.data


def _column(integer: int, encoding: int, data: bytes, samples: int) -> pb.Column:
    column = pb.Column(version=VERSION, count=samples, data=data)
    column.type = pb.VALUE_TYPE_I64 if integer else pb.VALUE_TYPE_F64
    # A byte that is no encoding of shared/columns is refused when it is decoded.
    column.encoding = encoding  # type: ignore[assignment]
    return column
