"""The bytes of compacted samples: the values of one series over a span, and the times that series share.

A piece is a format byte, an encoding byte for its values (bit 7: integers), one for the counter's start times (0: none)
and, where there are starts, the length of the values in 4 bytes, little-endian; then the data of both. Encodings are
those of shared/columns, and SCALED: a byte for the scale, one for the width (4 or 8), and a pcodec file of integers,
which are times 2^scale for integers and divided by 10^scale for floats. A grid is a format byte, an encoding byte, the
number of times in 4 bytes, little-endian, and the data of a column of UTC milliseconds.

The one promise: every bit of a value comes back, and every format version that was ever written stays readable; an
unknown one raises PieceError.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pcodec import ChunkConfig, DeltaSpec, ModeSpec, standalone

from shared.columns import F64, I64, VERSION, ColumnError, decode_i64, decode_values, encode, unpack_pcodec
from shared.pb import telemetry_pb2 as pb

FORMAT: Final = 1
SLAB: Final = 16  # series whose hours share a row
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
SCALED: Final = 0x10
_INTEGER: Final = 0x80
_PLAIN: Final = (bytes((SCALED, 0)), bytes((SCALED | _INTEGER, 0)))  # encoding and none of starts
_SCALES: Final = 62  # the largest
_WIDTHS: Final = (4, 8)
_STILL: Final = bytes(8)  # the step of a constant
_HEAD: Final = 3
_LENGTH: Final = 4
_DECIMALS: Final = (0, 3, 6)  # digits behind the point that sources are wont to give
_NARROW: Final = 2**31
_CACHED: Final = 2**17  # samples worked on at once: a megabyte, which stays near the processor
_TELLING: Final = 64  # samples of a row by which its packing is chosen


class PieceError(ValueError):
    """Stored bytes that are no piece, or of a format that this program does not know."""


def pack_rows(values: F64 | I64, starts: I64 | None, level: int) -> list[bytes]:
    """Return a piece per row of a matrix (series, samples) whose samples follow each other in time.

    starts, of the same shape, are a counter's; 0 is an unknown one. level is pcodec's: 2 for what is soon read and
    written again, 4 for what stays.

    Finding a factor for pcodec ourselves, for all rows at once, halves its time: 0.012 s a million samples against
    0.025, and 0.1 bytes a sample less (hours of the benchmark's mix).
    """
    pieces: list[bytes] = []
    at_once = max(1, _CACHED // max(values.shape[1], 1))
    with np.errstate(over="ignore", invalid="ignore"):  # of the largest floats the products are no numbers: no factor
        for begin in range(0, len(values), at_once):
            rows = slice(begin, begin + at_once)
            pieces += _pack_rows(values[rows], None if starts is None else starts[rows], level)
    return pieces


def _pack_rows(values: F64 | I64, starts: I64 | None, level: int) -> list[bytes]:
    pieces: list[bytes] = [b""] * len(values)
    bits = values.view(np.int64)  # so that -0.0 and 0.0 stay what they are
    constant = bits[:, 0] == bits[:, -1]  # most rows that are none show it here
    constant[constant] = (bits[constant] == bits[constant, :1]).all(axis=1)
    integer = _INTEGER if values.dtype == np.int64 else 0
    began: Sequence[I64 | None] = [None] * len(values) if starts is None else list(starts)
    for place in np.flatnonzero(constant).tolist():
        data = values[place, :1].tobytes() + _STILL
        pieces[place] = _piece(integer | pb.ENCODING_ARITHMETIC, data, began[place])
    rest = np.flatnonzero(~constant)
    for places, scale, whole in _scaled(values, rest):
        narrow = _narrowed(whole)
        head = bytes((scale, narrow.dtype.itemsize))
        for place, row, config in zip(places.tolist(), narrow, _configurations(narrow, level), strict=True):
            pieces[place] = _piece(integer | SCALED, head + standalone.simple_compress(row, config), began[place])
        rest = np.setdiff1d(rest, places, assume_unique=True)
    automatic = _configurations(values[rest], level, ModeSpec.auto())
    for place, config in zip(rest.tolist(), automatic, strict=True):
        data = bytes(standalone.simple_compress(values[place], config))
        pieces[place] = _piece(integer | pb.ENCODING_PCODEC, data, began[place])
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
    encoding, began = piece[1], piece[2]
    try:
        if not began:
            return _values(encoding, piece[_HEAD:], samples), None
        data = _HEAD + _LENGTH
        end = data + int.from_bytes(piece[_HEAD:data], "little")
        values = _values(encoding, piece[data:end], samples)
        return values, decode_i64(_column(_INTEGER, began, piece[end:], samples), samples)
    except ColumnError as error:
        raise PieceError(f"a piece can't be read: {error}") from error


def unpack_series(pieces: Sequence[bytes], bounds: Sequence[int], row: npt.NDArray[Any]) -> I64 | None:
    """Fill a row with pieces of one series, piece i from bounds[i] to bounds[i + 1]; return the starts.

    Raises PieceError.
    """
    head = pieces[0][: _HEAD + 2]
    if _is_plain(head) and all(piece.startswith(head) for piece in pieces):
        _, encoding, _, scale, width = head
        whole = np.empty(len(row), np.int32 if width == 4 else np.int64)
        for piece, begin, end in zip(pieces, bounds, bounds[1:], strict=False):
            _decompress(piece, whole[begin:end])
        _unscale(whole, encoding & _INTEGER, scale, row)
        return None
    starts: I64 | None = None
    for piece, begin, end in zip(pieces, bounds, bounds[1:], strict=False):
        row[begin:end], began = unpack(piece, end - begin)
        if began is not None:
            starts = np.zeros(len(row), np.int64) if starts is None else starts
            starts[begin:end] = began
    return starts


def is_integer(piece: bytes) -> bool:
    """Return whether a piece holds integers."""
    return len(piece) > 1 and bool(piece[1] & _INTEGER)


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


def _is_plain(head: bytes) -> bool:
    """Return whether a piece that begins so holds scaled integers and no starts."""
    known = len(head) == _HEAD + 2 and head[0] == FORMAT and head[1:3] in _PLAIN
    return known and head[3] <= _SCALES and head[4] in _WIDTHS


def _decompress(piece: bytes, row: npt.NDArray[Any]) -> None:
    try:
        progress = standalone.simple_decompress_into(piece[_HEAD + 2 :], row)
    except (RuntimeError, TypeError, ValueError) as error:
        raise PieceError(f"a piece can't be read: {error}") from error
    if progress.n_processed != len(row) or not progress.finished:
        raise PieceError(f"a piece does not hold {len(row)} samples")


def _values(encoding: int, data: bytes, samples: int) -> F64 | I64:
    integer = encoding & _INTEGER
    if encoding & ~_INTEGER == pb.ENCODING_ARITHMETIC and len(data) == 16 and data[8:] == _STILL:
        values: npt.NDArray[Any] = np.empty(samples, np.int64 if integer else np.float64)
        values[:] = np.frombuffer(data, values.dtype.newbyteorder("<"), 1)
        if not np.isfinite(values[:1]).all():
            raise ColumnError("the column holds NaN or an infinity")
        return values
    if encoding & ~_INTEGER != SCALED:
        return decode_values(_column(integer, encoding & ~_INTEGER, data, samples), samples)
    if len(data) < 2 or data[1] not in _WIDTHS or data[0] > _SCALES:
        raise ColumnError("scaled values begin with a scale up to 62 and a width of 4 or 8")
    whole = unpack_pcodec(data[2:], samples, np.dtype(np.int32 if data[1] == 4 else np.int64))
    values = np.empty(samples, np.int64 if integer else np.float64)
    _unscale(whole, integer, data[0], values)
    return values


def _unscale(whole: npt.NDArray[Any], integer: int, scale: int, values: npt.NDArray[Any]) -> None:
    if integer:
        np.left_shift(whole, scale, out=values, casting="same_kind", dtype=np.int64)
    else:
        np.divide(whole, 10.0**scale, out=values)


def _scaled(values: F64 | I64, rows: npt.NDArray[np.intp]) -> list[tuple[npt.NDArray[np.intp], int, I64]]:
    """Return which rows are integers times a power of two, or divided by one of ten: the power and the integers."""
    found = []
    if values.dtype == np.int64:
        low = np.bitwise_or.reduce(values[rows], axis=1)
        powers = np.frexp((low & -low).astype(np.float64))[1] - 1
        for power in np.unique(powers[low != 0]).tolist():
            mine = rows[(powers == power) & (low != 0)]
            if 0 <= power <= 62:
                found.append((mine, int(power), values[mine] >> power))
        return found
    for decimals in _DECIMALS:
        if not len(rows):
            break
        factor = 10.0**decimals
        some = values[rows]
        # Most rows that are none show it in their first samples.
        hopeful = (np.rint(some[:, :8] * factor) / factor == some[:, :8]).all(axis=1)
        some = some[hopeful]
        scaled = some * factor
        whole = np.rint(scaled, out=scaled).astype(np.int64)
        # Compared as bits: an integer 0 has no sign, so a row with -0.0 is not exact; nor is what int64 can't hold.
        exact = ((whole / factor).view(np.int64) == some.view(np.int64)).all(axis=1)
        mine = rows[hopeful][exact]
        if len(mine):
            found.append((mine, decimals, whole[exact]))
        rows = np.setdiff1d(rows, mine, assume_unique=True)
    return found


def _narrowed(whole: I64) -> npt.NDArray[Any]:
    fits = bool((whole < _NARROW).all() and (whole >= -_NARROW).all())
    return np.ascontiguousarray(whole.astype(np.int32) if fits else whole)


def _configurations(values: F64 | I64, level: int, mode: Any = None) -> list[Any]:
    """Return per row whether differences are worth storing: where they are smaller than the values' own spread.

    Some samples tell, from all over the row: all of them would take as long as packing them.
    """
    mode = ModeSpec.classic() if mode is None else mode
    options = {"compression_level": level, "enable_8_bit": False, "mode_spec": mode}
    flat = ChunkConfig(delta_spec=DeltaSpec.no_op(), **options)
    stepped = ChunkConfig(delta_spec=DeltaSpec.try_consecutive(1), **options)
    if values.shape[1] < 2:
        return [flat] * len(values)
    at = np.linspace(0, values.shape[1] - 2, min(_TELLING, values.shape[1] - 1)).astype(np.intp)
    floats, after = values[:, at].astype(np.float64, copy=False), values[:, at + 1].astype(np.float64, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large to be told apart is stored as it is
        spread = np.abs(floats - floats.mean(axis=1, keepdims=True)).mean(axis=1)
        moved = np.abs(after - floats).mean(axis=1)
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
