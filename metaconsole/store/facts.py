"""Events and gaps, as rows: what a reader took out of the log.

The one promise: an event that is seen twice is one row. An event of a resource that the site's quota leaves out stays
without it; a gap of one alone is left out, as it would seem to be the whole source's. Everything here runs inside the
caller's transaction, and returns what is left out.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from metaconsole.store.database import AsyncConnection
from metaconsole.store.identity import Reference, find_or_mint
from metaconsole.store.inventory import attribute_values, instant
from metaconsole.store.left_out import LeftOut, left_out
from metaconsole.store.series import lock_site, mint_sources
from metaconsole.store.sql import statements
from shared.pb import events_pb2, telemetry_pb2

_SQL: Final = statements("facts")


async def insert_events(connection: AsyncConnection, site_id: int, events: Sequence[events_pb2.Event]) -> LeftOut:
    """Insert events of one site; those that are known by source and id are left alone."""
    await lock_site(connection, site_id)
    sources = await mint_sources(connection, site_id, [name for event in events for name in _sources(event)])
    references = [_reference(event, sources) for event in events]
    ids = await find_or_mint(connection, site_id, {reference for reference in references if reference})
    parameters: dict[str, Any] = {
        "site_id": site_id,
        "sources": [sources[event.source] for event in events],
        "native_ids": [event.id for event in events],
        "times": [instant(event.time_ms) for event in events],
        "types": [event.type for event in events],
        "severities": [_word(events_pb2.Severity.Name(event.severity), "SEVERITY_") for event in events],
        "resources": [ids.get(reference) if reference else None for reference in references],
        "messages": [event.message for event in events],
        "attributes": [json.dumps(attribute_values(event.attributes)) for event in events],
    }
    await connection.execute(_SQL["insert_events"], parameters)
    return _left_out(events, references, ids)


async def insert_gaps(
    connection: AsyncConnection, site_id: int, satellite_id: UUID, gaps: Sequence[telemetry_pb2.Gap]
) -> LeftOut:
    """Insert gaps that one satellite told, or that its refused and dropped frames left."""
    await lock_site(connection, site_id)
    sources = await mint_sources(connection, site_id, [name for gap in gaps for name in _sources(gap)])
    references = [_reference(gap, sources) for gap in gaps]
    ids = await find_or_mint(connection, site_id, {reference for reference in references if reference})
    kept = [(gap, one) for gap, one in zip(gaps, references, strict=True) if one is None or one in ids]
    parameters: dict[str, Any] = {
        "site_id": site_id,
        "satellite_id": satellite_id,
        "sources": [sources.get(gap.source) for gap, _ in kept],
        "plans": [gap.plan for gap, _ in kept],
        "resources": [ids[reference] if reference else None for _, reference in kept],
        "froms": [gap.from_ms for gap, _ in kept],
        "tos": [gap.to_ms for gap, _ in kept],
        "reasons": [_word(telemetry_pb2.GapReason.Name(gap.reason), "GAP_REASON_") for gap, _ in kept],
        "details": [gap.detail for gap, _ in kept],
    }
    await connection.execute(_SQL["insert_gaps"], parameters)
    return _left_out(gaps, references, ids)


def _left_out(
    facts: Sequence[events_pb2.Event | telemetry_pb2.Gap],
    references: Sequence[Reference | None],
    ids: Mapping[Reference, UUID],
) -> LeftOut:
    told = zip(facts, references, strict=True)
    return left_out((fact.source, one) for fact, one in told if one is not None and one not in ids)


def _sources(fact: events_pb2.Event | telemetry_pb2.Gap) -> list[str]:
    names = [fact.source, fact.resource.source if fact.HasField("resource") else ""]
    return [name for name in names if name]


def _reference(fact: events_pb2.Event | telemetry_pb2.Gap, sources: dict[str, int]) -> Reference | None:
    name = fact.resource.source or fact.source
    if not fact.HasField("resource") or not name:
        return None
    return sources[name], fact.resource.kind, fact.resource.key


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()
