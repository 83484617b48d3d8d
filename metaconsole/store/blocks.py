"""Stored blocks of the log, decoded into pieces of tails.

The one promise: what many blocks have in common is decoded once, nothing loops over samples, and what is held stays
within limits: of many blocks only the series that are wanted.
"""

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias
from uuid import UUID

import numpy as np

from metaconsole.store.frames import FORMAT_VERSION
from metaconsole.store.samples import HELD, Budget, StoredFormatError
from metaconsole.store.tails import Numbers, Piece, Tail
from shared.batches import samples_of, spread
from shared.columns import I64, decode_i64, decode_into, dtype_of
from shared.pb import telemetry_pb2 as pb

WHOLE: Final = 4_000_000  # samples of a question's blocks, up to which all their series are held
Key: TypeAlias = tuple[int, int]  # source, metric
Block: TypeAlias = tuple[UUID, int, int, int, bytes, bytes]  # satellite, ordinal, source, metric, instants, block
_Column: TypeAlias = tuple[int, int, bytes]


class _Layout:
    """Blocks of one satellite, source and metric with the same series, in the order of their arrival here."""

    def __init__(self, satellite: UUID, series: I64, picked: I64 | None) -> None:
        self.satellite = satellite
        self.series = series
        self.picked = picked  # the places of the series that are held; None: all
        self.matrices: list[Piece] = []
        self.samples: list[Piece] = []

    def narrow(self, wanted: I64) -> None:
        """Hold only the series that are wanted, from now on and of what is there."""
        self.picked = np.flatnonzero(np.isin(self.series, wanted))
        self.matrices = [self._picked(one) for one in self.matrices]
        self.samples = [self._picked(one) for one in self.samples]

    def add(self, piece: Piece) -> None:
        """Add the samples of a block."""
        held = self.matrices if piece.is_matrix else self.samples
        held.append(piece if self.picked is None else self._picked(piece))

    def _picked(self, piece: Piece) -> Piece:
        assert self.picked is not None
        at = (slice(None), self.picked) if piece.is_matrix else self.picked
        return Piece(
            piece.satellite,
            piece.series[self.picked],
            piece.ordinals if piece.is_matrix else piece.ordinals[self.picked],
            piece.times if piece.is_matrix else piece.times[self.picked],
            piece.values[at],
            None if piece.starts is None else piece.starts[at],
        )


class Blocks:
    """Blocks decoded so far."""

    def __init__(self, wanted: I64, tails: Mapping[Key, Tail], budget: Budget) -> None:
        self._wanted = wanted
        self._tails = tails  # what is in there is not decoded again
        self._budget = budget
        self._held = Budget(HELD)
        self._samples = 0
        self.are_whole = True  # all series of all blocks are held
        self._layouts: dict[tuple[Key, UUID, _Column], _Layout] = {}
        # Neighbouring blocks have the same columns of instants and of starts.
        self._instants: tuple[bytes, I64] = (b"", np.empty(0, np.int64))
        self._starts: tuple[_Column, I64] = ((0, 0, b""), np.empty(0, np.int64))

    def add(self, rows: Iterable[Block]) -> None:
        """Decode blocks; raises QueryTooLargeError, StoredFormatError and ColumnError."""
        for satellite, ordinal, source, metric, instants, stored in rows:
            key = source, metric
            if ordinal > self._tails[key].head(satellite):
                self._add(key, satellite, ordinal, instants, stored)

    def pieces(self) -> dict[Key, list[Piece]]:
        """Return the pieces of each tail, in order of their rows."""
        found: dict[Key, list[Piece]] = {}
        for (key, _, _), layout in self._layouts.items():
            for some in (layout.matrices, layout.samples):
                found.setdefault(key, []).extend(sorted(some, key=lambda one: int(one.ordinals[0])))
        return found

    def _add(self, key: Key, satellite: UUID, ordinal: int, stored_instants: bytes, stored: bytes) -> None:
        if not stored or stored[0] != FORMAT_VERSION:
            raise StoredFormatError(f"a stored block has format version {stored[0] if stored else 'none'}")
        block = pb.Block.FromString(stored[1:])
        layout = self._layout(key, satellite, block.series)
        instants = self._instants_of(stored_instants)
        count = samples_of(block, len(instants))
        self._hold(layout, count)
        if layout.picked is not None and not len(layout.picked):
            return
        values: Numbers = np.empty(count, dtype_of(block.values))
        decode_into(block.values, values)  # whoever stored it checked it
        starts = self._starts_of(block) if block.HasField("starts") else None
        layout.add(_piece(satellite, ordinal, block, layout.series, instants, values, starts))

    def _hold(self, layout: _Layout, count: int) -> None:
        """Count what is about to be decoded, and hold less where it is too much."""
        self._samples += count
        if self.are_whole and self._samples > WHOLE:
            self.are_whole = False
            for one in self._layouts.values():
                one.narrow(self._wanted)
        share = 1.0 if layout.picked is None else len(layout.picked) / len(layout.series)
        self._budget.spend(count, 0)
        self._held.spend(0, int(count * share))

    def _layout(self, key: Key, satellite: UUID, column: pb.Column) -> _Layout:
        name = key, satellite, (column.encoding, column.count, column.data)
        known = self._layouts.get(name)
        if known is None:
            known = self._layouts[name] = _Layout(satellite, decode_i64(column, column.count), None)
            if not self.are_whole:
                known.narrow(self._wanted)
        return known

    def _instants_of(self, stored: bytes) -> I64:
        if stored != self._instants[0]:
            column = pb.Column.FromString(stored)
            self._instants = stored, decode_i64(column, column.count)
        return self._instants[1]

    def _starts_of(self, block: pb.Block) -> I64:
        key = (block.starts.encoding, block.series.count, block.starts.data)
        if key != self._starts[0]:
            self._starts = key, decode_i64(block.starts, block.series.count)
        return self._starts[1]


def _piece(
    satellite: UUID, ordinal: int, block: pb.Block, series: I64, instants: I64, values: Numbers, starts: I64 | None
) -> Piece:
    if block.scope == pb.TIME_SCOPE_BATCH:
        matrix = values.reshape(len(series), len(instants)).T
        began = None if starts is None else np.broadcast_to(starts, matrix.shape)
        return Piece(satellite, series, np.full(len(instants), ordinal), instants, matrix, began)
    series, times = spread(block, series, instants)
    return Piece(satellite, series, np.full(len(series), ordinal), times, values, starts)
