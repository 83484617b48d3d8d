"""What exists, over time: inventory deltas become versions of resources and relations, with validity.

The one promise: validity follows the time of observation, one version of a resource is open at a time, none begins
before its predecessor, and what did not change is not written again.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias
from uuid import UUID

from metaconsole.store.database import AsyncConnection
from metaconsole.store.identity import Identities, Reference, find, find_or_mint, identify
from metaconsole.store.inventory_parts import end_unnamed, older_aside, relate
from metaconsole.store.left_out import LeftOut, left_out
from metaconsole.store.series import lock_site, mint_sources
from metaconsole.store.sql import statements
from shared.inventory_parts import is_part
from shared.pb import inventory_pb2, telemetry_pb2

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_Edge: TypeAlias = tuple[Reference, str, Reference]  # from, the type of the relation, to
_MANY: Final = 100  # resources and relations, from which on the planner may not go through them one by one
_SQL: Final = statements("inventory")


async def apply_inventory(connection: AsyncConnection, site_id: int, delta: inventory_pb2.InventoryDelta) -> LeftOut:
    """Write one delta, inside the caller's transaction; return what is left out because the site has its resources.

    A delta that was observed before the source's newest full inventory writes closed history only: what is there now
    is known better already.
    """
    await lock_site(connection, site_id)
    if len(delta.resources) + len(delta.relations) > _MANY or is_part(delta):
        await connection.execute(_SQL["many"])
    sources = await mint_sources(connection, site_id, [delta.source, *_other_sources(delta)])
    source_id = sources[delta.source]
    identities = await identify(connection, site_id, source_id, delta)
    at = instant(delta.observed_ms)
    missing = _missing(delta, source_id, identities)
    parameters = {"site_id": site_id, "source_id": source_id, "at": at, **_versions(delta, identities)}
    await connection.execute(_SQL["tie"], parameters | _ties(identities))
    row = await (await connection.execute(_SQL["full_at"], parameters)).fetchone()
    assert row is not None
    parameters["removed"] = await _removed(connection, site_id, source_id, delta)
    if at < row[0]:
        parameters["full_at"] = row[0]
        for name in ("end_history", "cut_history", "write_history"):
            await connection.execute(_SQL[name], parameters)
        return left_out((delta.source, one) for one in missing)
    if is_part(delta):
        parameters |= await older_aside(connection, parameters)
    for name in ("end_removed", "end_changed", "write_versions"):
        await connection.execute(_SQL[name], parameters)
    if is_part(delta):
        parameters["removed"] = await end_unnamed(connection, delta, parameters)
    elif delta.full:
        await connection.execute(_SQL["end_unnamed"], parameters)
    if delta.full or is_part(delta):
        await connection.execute(_SQL["note_full"], parameters)
    edges = [_edge(relation, sources, delta.source) for relation in delta.relations]
    ends = _ends(edges)
    ids = await find_or_mint(connection, site_id, ends)
    await _relate(connection, delta, edges, ids, sources, parameters)
    missing |= ends - ids.keys()
    return left_out((delta.source, one) for one in missing)


def instant(milliseconds: int) -> datetime:
    """Return UTC milliseconds as a datetime, exactly."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def attribute_values(attributes: Mapping[str, inventory_pb2.AttributeValue]) -> dict[str, Any]:
    """Return attributes as JSON values; one without a value is left out."""
    named = {name: (value, value.WhichOneof("value")) for name, value in attributes.items()}
    return {name: getattr(value, kind) for name, (value, kind) in named.items() if kind}


def _versions(delta: inventory_pb2.InventoryDelta, identities: Identities) -> dict[str, list[Any]]:
    # A resource may stand under two keys of a source only in different deltas, so ids are distinct here.
    resources = [resource for resource in delta.resources if (resource.kind, resource.key) in identities.resources]
    return {
        "resources": [identities.resources[resource.kind, resource.key] for resource in resources],
        "kinds": [resource.kind for resource in resources],
        "names": [resource.name or resource.key for resource in resources],
        "states": [resource.state for resource in resources],
        "reasons": [resource.state_reason for resource in resources],
        "attributes": [json.dumps(attribute_values(resource.attributes)) for resource in resources],
    }


def _missing(delta: inventory_pb2.InventoryDelta, source_id: int, identities: Identities) -> set[Reference]:
    if len(identities.resources) == len(delta.resources):
        return set()
    keys = {(resource.kind, resource.key) for resource in delta.resources} - identities.resources.keys()
    return {(source_id, kind, key) for kind, key in keys}


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
    edges: Iterable[_Edge],
    ids: Mapping[Reference, UUID],
    sources: Mapping[str, int],
    parameters: Mapping[str, Any],
) -> None:
    """End and open relations between known resources; the ends of those whose resources went have gone with them."""
    ended = [_edge(relation, sources, delta.source) for relation in delta.removed_relations]
    ended_ids = await find(connection, parameters["site_id"], _ends(ended)) if ended else {}
    for name, named, known in (("end_relations", ended, ended_ids), ("write_relations", edges, ids)):
        between = [edge for edge in named if edge[0] in known and edge[2] in known]
        lists = {
            "from_ids": [known[begin] for begin, _, _ in between],
            "types": [kind for _, kind, _ in between],
            "to_ids": [known[end] for _, _, end in between],
        }
        if name == "write_relations" and is_part(delta):
            await relate(connection, delta, {**parameters, **lists})
            continue
        await connection.execute(_SQL[name], {**parameters, **lists})
        if delta.full and name == "write_relations":
            await connection.execute(_SQL["end_unnamed_relations"], {**parameters, **lists})
    await connection.execute(_SQL["end_loose_relations"], parameters)


def _ends(edges: Iterable[_Edge]) -> set[Reference]:
    return {reference for begin, _, end in edges for reference in (begin, end)}


def _edge(relation: inventory_pb2.Relation, sources: Mapping[str, int], own: str) -> _Edge:
    return _reference(getattr(relation, "from"), sources, own), relation.type, _reference(relation.to, sources, own)


def _reference(reference: telemetry_pb2.ResourceRef, sources: Mapping[str, int], own: str) -> Reference:
    return sources[reference.source or own], reference.kind, reference.key


def _other_sources(delta: inventory_pb2.InventoryDelta) -> set[str]:
    ends = [end for r in (*delta.relations, *delta.removed_relations) for end in (getattr(r, "from"), r.to)]
    return {end.source for end in ends if end.source}
