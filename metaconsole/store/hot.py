"""The hot samples: those of the log that the compactor has not moved into parts yet.

The one promise: in the snapshot of its transaction a sample is found here or in parts and chunks, never in both. Only
the blocks of the metrics asked for travel, and each but once: rows of the log never change, so what was decoded is kept
in the process, and later questions of the same source and metric fetch what came since.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Final, TypeAlias
from uuid import UUID

import numpy as np

from metaconsole.store.blocks import Block, Blocks, Key
from metaconsole.store.database import Connection
from metaconsole.store.dictionary import Series
from metaconsole.store.kept import Kept
from metaconsole.store.samples import Budget, Stretch
from metaconsole.store.sql import statements
from metaconsole.store.tails import Place, Places, Tail

KEPT_BYTES: Final = 64 * 1024 * 1024
_SQL: Final = statements("query")
_FETCH: Final = 500  # blocks between two looks at the limits
_END: Final = 2**62
# How a piece of array work is run: the web hands in gevent's threadpool.
Compute: TypeAlias = Callable[[Callable[[], Any]], Any]
# By life of the database, since after a restore other rows have the same ordinals; site, source and metric.
_kept: Final[Kept[tuple[UUID | None, int, Key], Tail]] = Kept(KEPT_BYTES)


@dataclass(frozen=True, slots=True)
class _Log:
    """The log of a site as the snapshot has it."""

    incarnation: UUID | None  # of a site without satellites nobody asked
    places: Places  # of the satellites that have anything hot
    received_at: datetime  # no row that is hot was received before


def read_hot(
    connection: Connection,
    site_id: int,
    wanted: Sequence[Series],
    from_ms: int,
    to_ms: int,
    budget: Budget,
    compute: Compute,
) -> list[Stretch]:
    """Return the hot samples of series of a site with from_ms <= time < to_ms; raises QueryTooLargeError."""
    log = _log(connection, site_id)
    if not log.places:
        return []
    keys = _keys(connection, site_id, wanted)
    ids = np.unique(np.array([one.series_id for one in wanted], np.int64))
    # Before the compactor's hour only late samples are hot: not worth more than a look.
    is_past = to_ms <= min(place.through_ms for place in log.places.values())
    tails = {key: Tail(from_ms, {}, []) if is_past else _tail(log, site_id, key, from_ms) for key in keys}
    blocks = Blocks(ids, tails, budget)
    for rows in _blocks(connection, site_id, log, tails, to_ms if is_past else _END):
        compute(lambda rows=rows: blocks.add(rows))  # type: ignore[misc]  # a lambda's default
    grown, found = compute(lambda: _grown(tails, blocks, log, ids, (from_ms, to_ms)))
    budget.spend(0, sum(len(one.times) for one in found))
    if blocks.are_whole and not is_past:
        for key, tail in grown.items():
            _kept.keep((log.incarnation, site_id, key), tail, tail.size)
    stretches: list[Stretch] = found
    return stretches


def _tail(log: _Log, site_id: int, key: Key, from_ms: int) -> Tail:
    """Return the tail that is kept if it serves the question, or an empty one."""
    kept = _kept.get((log.incarnation, site_id, key))
    return kept if kept is not None and kept.serves(log.places, from_ms) else Tail(from_ms, {}, [])


def _grown(
    tails: Mapping[Key, Tail], blocks: Blocks, log: _Log, wanted: Any, span: tuple[int, int]
) -> tuple[dict[Key, Tail], list[Stretch]]:
    """Return the tails that are other ones now, and the samples that are wanted."""
    pieces, grown, found = blocks.pieces(), {}, []
    for key, tail in tails.items():
        now = tail
        if key in pieces or not tail.reaches(log.places):
            now = grown[key] = tail.with_more(log.places, pieces.get(key, []))
        found += now.stretches(wanted, log.places, span)
    return grown, found


def _keys(connection: Connection, site_id: int, wanted: Sequence[Series]) -> list[Key]:
    resources = sorted({one.resource_id for one in wanted})
    sources = connection.execute(_SQL["sources"], {"site": site_id, "resources": resources}).fetchall()
    return list(product([source for (source,) in sources], sorted({one.metric_id for one in wanted})))


def _blocks(
    connection: Connection, site_id: int, log: _Log, tails: Mapping[Key, Tail], to_ms: int
) -> Iterator[list[Block]]:
    """Yield the blocks that a tail lacks, and may yield some that it has."""
    after = {
        satellite: max(place.after, min((tail.head(satellite) for tail in tails.values()), default=place.head))
        for satellite, place in log.places.items()
    }
    behind = {satellite: place for satellite, place in log.places.items() if after[satellite] < place.head}
    if not behind:
        return
    from_ms = min(tail.since_ms for tail in tails.values())
    values = {
        "site": site_id,
        "satellites": list(behind),
        "after": [after[satellite] for satellite in behind],
        "seen": [place.seen for place in behind.values()],
        "through_ms": [place.through_ms for place in behind.values()],
        "least": min(after[satellite] for satellite in behind),
        **_received(log.received_at, from_ms),
        "sources": sorted({source for source, _ in tails}),
        "metrics": sorted({metric for _, metric in tails}),
        "from_ms": from_ms,
        "to_ms": to_ms,
    }
    rows: list[Block] = []
    with connection.cursor(binary=True) as cursor:
        for row in cursor.stream(_SQL["hot_blocks"], values, size=_FETCH):
            rows.append(row)
            if len(rows) == _FETCH:
                yield rows
                rows = []
    if rows:
        yield rows


def _received(received_at: datetime, from_ms: int) -> dict[str, datetime]:
    """Return between when the rows were received: constants, so that few partitions are planned for."""
    now = datetime.now(UTC)
    # No instant lies more than 5 min ahead of its receipt.
    instant = datetime.fromtimestamp(min(from_ms / 1000, now.timestamp()), UTC) - timedelta(minutes=10)
    return {"received_from": max(received_at, instant), "received_to": now + timedelta(hours=1)}


def _log(connection: Connection, site_id: int) -> _Log:
    rows = connection.execute(_SQL["places"], {"site": site_id}).fetchall()
    # The clocks of two gateways may differ, so that a later row was received a little earlier.
    received_at = min((row[-2] for row in rows), default=datetime.now(UTC)) - timedelta(hours=1)
    places = {satellite: Place(*numbers) for satellite, *numbers, _, _ in rows}
    hot = {satellite: place for satellite, place in places.items() if place.after < place.head}
    return _Log(rows[0][-1] if rows else None, hot, received_at)
