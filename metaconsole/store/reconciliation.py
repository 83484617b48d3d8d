"""Comparing what a satellite says that it produced with what was taken of it.

The one promise: only its own report is compared with its own epochs; what is missing is noted before it is asked for,
and nothing that a satellite tells here makes a sequence taken, or not taken.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from psycopg.types.multirange import Int8Multirange

from metaconsole.store.database import AsyncConnection, transaction
from metaconsole.store.sql import statements
from shared.ranges import RangeSet
from shared.tallies import BLOCK

ROWS: Final = 8_192  # of what a satellite told are kept
DIFFERENCES: Final = 1_000  # of a satellite are kept
RECALLED: Final = 1_000  # ranges that are asked for at once; the next report shows the rest
DAYS: Final = 40  # what is told no more is kept; satellites tell of 35 days
_SQL: Final = statements("reconciliation")


@dataclass(frozen=True, slots=True)
class Told:
    """A block of an epoch as its satellite tells it: sequences, samples, and when it was spooled (UTC milliseconds)."""

    epoch: UUID
    first: int
    last: int
    samples: int
    uncounted: int  # frames whose samples nobody knows
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Missing:
    """A range that was produced and acknowledged, and is not taken."""

    epoch: UUID
    first: int
    last: int


async def reconcile(
    connection: AsyncConnection, site_id: int, satellite_id: UUID, report: Sequence[Told]
) -> tuple[list[Missing], int]:
    """Keep a report; return what is to be recalled, and how many frames are missing in all. Raises UnavailableError."""
    who: dict[str, Any] = {"site_id": site_id, "satellite_id": satellite_id}
    async with transaction(connection):
        await connection.execute(_SQL["tell"], {**who, "block": BLOCK, **_columns(report)})
        epochs = sorted({told.epoch for told in report})
        rows = await (await connection.execute(_SQL["taken"], {**who, "epochs": epochs})).fetchall()
        found = missing(report, {epoch: range_set(taken) for epoch, taken in rows})
        frames = sum(part.last - part.first + 1 for part in found)
        recalled = found[:RECALLED]
        if recalled:
            parts = {
                "epochs": [part.epoch for part in recalled],
                "firsts": [part.first for part in recalled],
                "lasts": [part.last for part in recalled],
            }
            await connection.execute(_SQL["recall"], {**who, **parts})
            await connection.execute(_SQL["note"], {**who, **parts})
            await connection.execute(_SQL["bound_differences"], {**who, "rows": DIFFERENCES})
        await connection.execute(_SQL["bound_produced"], {**who, "rows": ROWS, "days": DAYS})
        await connection.execute(_SQL["settle"], {**who, "missing": frames})
    return recalled, frames


def missing(report: Iterable[Told], taken: Mapping[UUID, RangeSet]) -> list[Missing]:
    """Return what of a report is not taken, in the order of epochs as they are told, then of sequences."""
    produced: dict[UUID, RangeSet] = {}
    for told in report:
        produced.setdefault(told.epoch, RangeSet()).add(told.first, told.last)
    nothing = RangeSet()
    return [
        Missing(epoch, low, high)
        for epoch, ranges in produced.items()
        for first, last in ranges
        for low, high in taken.get(epoch, nothing).missing(first, last)
    ]


def range_set(parts: Int8Multirange) -> RangeSet:
    """Return the sequences of a multirange."""
    return RangeSet((part.lower, part.upper - 1) for part in parts if part.lower is not None and part.upper is not None)


def _columns(report: Sequence[Told]) -> dict[str, list[Any]]:
    return {
        "epochs": [told.epoch for told in report],
        "firsts": [told.first for told in report],
        "lasts": [told.last for told in report],
        "samples": [told.samples for told in report],
        "uncounted": [told.uncounted for told in report],
        "froms": [told.from_ms for told in report],
        "tos": [told.to_ms for told in report],
    }
