"""A frame between the gateway's checks and the log: what was found good, or why it is refused.

The one promise: values of these types hold nothing that the store would have to doubt again.
"""

from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum
from typing import Final
from uuid import UUID

FORMAT_VERSION: Final = 1  # the first byte of every stored block
QUARANTINE_BYTES: Final = 64 * 1024  # of a refused frame are kept


class LogKind(IntEnum):
    """What a row of the log holds."""

    BATCH = 1
    INVENTORY = 2
    EVENTS = 3
    GAPS = 4


class Outcome(Enum):
    """What became of a frame."""

    STORED = "stored"
    REPLAYED = "replayed"  # it had been taken before: acknowledged, not stored again
    FENCED = "fenced"  # a newer session of the satellite exists, or it was revoked: not taken


@dataclass(frozen=True, slots=True)
class Sender:
    """The session that a frame came over."""

    site_id: int
    satellite_id: UUID
    session: int


@dataclass(frozen=True, slots=True)
class LogRow:
    """What one row of the log holds, but for its place in it."""

    kind: LogKind
    first_ms: int
    last_ms: int
    payload: bytes
    source_id: int | None = None
    plan: str = ""
    interval_ms: int = 0
    samples: int = 0
    metrics: tuple[int, ...] = ()
    offsets: tuple[int, ...] = ()
    times: bytes = b""
    refused: int = 0  # samples that the quota left out


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a frame was refused: a short constant, a sentence, and what it held, cut to what is kept."""

    reason: str
    detail: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CheckedFrame:
    """One frame (first = last), or a range that its satellite dropped. A refused one logs a gap."""

    sender: Sender
    epoch: UUID
    first: int
    last: int
    lane: int
    row: LogRow
    refusal: Refusal | None = None
    clock_offset_ms: int | None = None  # of the clock that stamped it, ahead of the metaconsole's; None: not known
    declared: str = ""  # why its satellite lost it

    @property
    def lost(self) -> str:
        """Why what was sent under these numbers is not stored; empty where it is."""
        return f"refused: {self.refusal.reason}" if self.refusal else self.declared

    @property
    def size(self) -> int:
        """Bytes to store, roughly."""
        return len(self.row.payload) + len(self.row.times) + (len(self.refusal.content) if self.refusal else 0)

    def bare(self) -> "CheckedFrame":
        """Return what an acknowledgement needs: who does not read his keeps none of what he sent in memory."""
        refusal = self.refusal and replace(self.refusal, content=b"")
        return replace(self, row=_NO_ROW, refusal=refusal)


_NO_ROW: Final = LogRow(LogKind.BATCH, 0, 0, b"")
