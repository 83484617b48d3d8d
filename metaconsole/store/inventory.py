"""What exists, over time: inventory deltas become versions of resources and relations, with validity.

The one promise: validity follows the time of observation, one version of a resource is open at a time, none begins
before its predecessor, and what did not change is not written again.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from metaconsole.store.database import AsyncConnection
from metaconsole.store.identity import Identities, Reference, find, find_or_mint, identify
from metaconsole.store.series import lock_site, mint_sources
from metaconsole.store.sql import statements
from shared.pb import inventory_pb2, telemetry_pb2

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MANY: Final = 100  # resources and relations, from which on the planner may not go through them one by one
_SQL: Final = statements("inventory")


async def apply_inventory(connection: AsyncConnection, site_id: int, delta: inventory_pb2.InventoryDelta) -> None:
    """Write one delta, inside the caller's transaction.

    A delta that was observed before the source's newest full inventory writes closed history only: what is there now
    is known better already.
    """
    await lock_site(connection, site_id)
    if len(delta.resources) + len(delta.relations) > _MANY:
        await connection.execute(_SQL["many"])
    sources = await mint_sources(connection, site_id, [delta.source, *_other_sources(delta)])
    source_id = sources[delta.source]
    identities = await identify(connection, site_id, source_id, delta)
    at = instant(delta.observed_ms)
    parameters = {"site_id": site_id, "source_id": source_id, "at": at, **_versions(delta, identities)}
    await connection.execute(_SQL["tie"], parameters | _ties(identities))
    row = await (await connection.execute(_SQL["full_at"], parameters)).fetchone()
    assert row is not None
    parameters["removed"] = await _removed(connection, site_id, source_id, delta)
    if at < row[0]:
        parameters["full_at"] = row[0]
        for name in ("end_history", "cut_history", "write_history"):
            await connection.execute(_SQL[name], parameters)
        return
    for name in ("end_removed", "end_changed", "write_versions"):
        await connection.execute(_SQL[name], parameters)
    if delta.full:
        for name in ("end_unnamed", "note_full"):
            await connection.execute(_SQL[name], parameters)
    await _relate(connection, delta, sources, parameters)


def instant(milliseconds: int) -> datetime:
    """Return UTC milliseconds as a datetime, exactly."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def attribute_values(attributes: Mapping[str, inventory_pb2.AttributeValue]) -> dict[str, Any]:
    """Return attributes as JSON values; one without a value is left out."""
    named = {name: (value, value.WhichOneof("value")) for name, value in attributes.items()}
    return {name: getattr(value, kind) for name, (value, kind) in named.items() if kind}


def _versions(delta: inventory_pb2.InventoryDelta, identities: Identities) -> dict[str, list[Any]]:
    # A resource may stand under two keys of a source only in different deltas, so ids are distinct here.
    resources = delta.resources
    return {
        "resources": [identities.resources[resource.kind, resource.key] for resource in resources],
        "kinds": [resource.kind for resource in resources],
        "names": [resource.name or resource.key for resource in resources],
        "states": [resource.state for resource in resources],
        "reasons": [resource.state_reason for resource in resources],
        "attributes": [json.dumps(attribute_values(resource.attributes)) for resource in resources],
    }


def _ties(identities: Identities) -> dict[str, list[UUID]]:
    return {
        "from_ids": [new for new, _ in identities.ties],
        "to_ids": [known for _, known in identities.ties],
    }


async def _removed(
    connection: AsyncConnection, site_id: int, source_id: int, delta: inventory_pb2.InventoryDelta
) -> list[UUID]:
    found = await find(connection, site_id, [(source_id, removal.kind, removal.key) for removal in delta.removed])
    return list(found.values())


async def _relate(
    connection: AsyncConnection,
    delta: inventory_pb2.InventoryDelta,
    sources: Mapping[str, int],
    parameters: Mapping[str, Any],
) -> None:
    """End and open relations; the ends of those whose resources went have gone with them."""
    edges = [_edge(relation, sources, delta.source) for relation in delta.relations]
    ended = [_edge(relation, sources, delta.source) for relation in delta.removed_relations]
    references = {reference for begin, _, end in (*edges, *ended) for reference in (begin, end)}
    ids = await find_or_mint(connection, parameters["site_id"], references)
    for name, named in (("end_relations", ended), ("write_relations", edges)):
        lists = {
            "from_ids": [ids[begin] for begin, _, _ in named],
            "types": [relation_type for _, relation_type, _ in named],
            "to_ids": [ids[end] for _, _, end in named],
        }
        await connection.execute(_SQL[name], {**parameters, **lists})
        if delta.full and name == "write_relations":
            await connection.execute(_SQL["end_unnamed_relations"], {**parameters, **lists})
    await connection.execute(_SQL["end_loose_relations"], parameters)


def _edge(relation: inventory_pb2.Relation, sources: Mapping[str, int], own: str) -> tuple[Reference, str, Reference]:
    return _reference(getattr(relation, "from"), sources, own), relation.type, _reference(relation.to, sources, own)


def _reference(reference: telemetry_pb2.ResourceRef, sources: Mapping[str, int], own: str) -> Reference:
    return sources[reference.source or own], reference.kind, reference.key


def _other_sources(delta: inventory_pb2.InventoryDelta) -> set[str]:
    ends = [end for r in (*delta.relations, *delta.removed_relations) for end in (getattr(r, "from"), r.to)]
    return {end.source for end in ends if end.source}
