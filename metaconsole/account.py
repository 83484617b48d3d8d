"""What a satellite produced against what became of it: stored, missing with the reason, stored twice.

The one promise: each sequence that was told is counted as stored, as lost for one reason, or as absent, and as one of
them only. A frame is stored whole, or without samples that were refused and counted, so the sums of samples are a check
of their own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from metaconsole.store.reconciliation import Told
from shared.ranges import RangeSet
from shared.tallies import block_of


@dataclass(frozen=True, slots=True)
class Counted:
    """What a reader counted of a block; reason is empty for what is stored.

    The samples of a reason are those that frames which are stored lack for it.
    """

    epoch: UUID
    block: int
    reason: str
    ranges: RangeSet
    samples: int
    again_frames: int
    again_samples: int


@dataclass(frozen=True, slots=True)
class Line:
    """The account of a block."""

    told: Told
    absent: int  # frames that nobody accounts for
    lost: Mapping[str, int]  # frames by reason
    stored_samples: int
    refused_samples: int  # that frames which are stored lack
    again_frames: int
    again_samples: int
    unequal: bool  # the samples of its frames are not those that were told

    @property
    def frames(self) -> int:
        """How many frames were produced."""
        return self.told.last - self.told.first + 1

    @property
    def missing(self) -> int:
        """How many frames are not stored."""
        return self.absent + sum(self.lost.values())

    @property
    def differs(self) -> bool:
        """Whether something of it is not accounted for."""
        return self.absent > 0 or self.again_frames > 0 or self.unequal


@dataclass(slots=True)
class Account:
    """The account of a satellite: its lines, and their sums."""

    lines: Sequence[Line]
    frames: int = 0
    samples: int = 0
    stored_samples: int = 0
    refused_samples: int = 0
    absent: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    again_frames: int = 0
    again_samples: int = 0

    def __post_init__(self) -> None:
        for line in self.lines:
            self.frames += line.frames
            self.samples += line.told.samples
            self.stored_samples += line.stored_samples
            self.refused_samples += line.refused_samples
            self.absent += line.absent
            self.again_frames += line.again_frames
            self.again_samples += line.again_samples
            for reason, frames in line.lost.items():
                self.lost[reason] = self.lost.get(reason, 0) + frames

    @property
    def missing(self) -> int:
        """How many frames are not stored."""
        return self.absent + sum(self.lost.values())

    @property
    def differing(self) -> list[Line]:
        """The lines of which something is not accounted for."""
        return [line for line in self.lines if line.differs]


def account(told: Iterable[Told], taken: Mapping[UUID, RangeSet], counted: Iterable[Counted]) -> Account:
    """Return the account of what was told."""
    lost: dict[UUID, list[Counted]] = {}
    blocks: dict[tuple[UUID, int], list[Counted]] = {}
    for one in counted:
        blocks.setdefault((one.epoch, one.block), []).append(one)
        if one.reason:
            lost.setdefault(one.epoch, []).append(one)
    nothing = RangeSet()
    return Account(
        [_line(row, taken.get(row.epoch, nothing), lost.get(row.epoch, ()), blocks.get(_key(row), ())) for row in told]
    )


def _line(told: Told, taken: RangeSet, lost: Sequence[Counted], block: Sequence[Counted]) -> Line:
    frames = told.last - told.first + 1
    there = RangeSet(taken.clipped(told.first, told.last))
    absent = frames - len(there)
    reasons: dict[str, int] = {}
    for one in lost:
        for first, last in one.ranges.clipped(told.first, told.last):
            for part in list(there.clipped(first, last)):
                there.remove(*part)
                reasons[one.reason] = reasons.get(one.reason, 0) + part[1] - part[0] + 1
    stored = next((one for one in block if not one.reason), None)
    refused = sum(one.samples for one in block if one.reason)
    samples, unequal = _samples(told, there, stored, refused, missing=len(there) < frames)
    again_frames, again_samples = sum(one.again_frames for one in block), sum(one.again_samples for one in block)
    return Line(told, absent, reasons, samples, refused, again_frames, again_samples, unequal)


def _samples(told: Told, there: RangeSet, stored: Counted | None, refused: int, *, missing: bool) -> tuple[int, bool]:
    """Return how many samples are stored, and whether they, with those that were refused, contradict what was told.

    What was counted is compared where it is of the same frames: a reader may be behind, and the report may be older.
    """
    if stored is not None and list(stored.ranges) == list(there):
        counted = stored.samples + refused
        contradicts = counted != told.samples if not missing else counted > told.samples
        return stored.samples, contradicts and not told.uncounted
    return told.samples * len(there) // (told.last - told.first + 1), False


def _key(told: Told) -> tuple[UUID, int]:
    return told.epoch, block_of(told.first)
