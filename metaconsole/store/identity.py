"""Which resource a source speaks of: by the key it used before, else by a strong claim, else a new one.

The one promise: two keys that live in one source at the same time are never one resource, whatever they claim; and no
resource is minted beyond the site's quota. Everything here runs inside a transaction that holds the site's lock.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from uuid import UUID, uuid4

from metaconsole.store.database import AsyncConnection
from metaconsole.store.quota import count, rooms
from metaconsole.store.sql import statements
from shared.inventory_parts import names_all_at, place_of_key
from shared.pb import inventory_pb2

STRONG: Final = 90  # from here on one claim is enough
Key: TypeAlias = tuple[str, str]  # kind and key, as the source names it
Reference: TypeAlias = tuple[int, str, str]  # source, kind and key
_SQL: Final = statements("identity")


@dataclass(frozen=True, slots=True)
class Identities:
    """The resources of a delta, and the ties between one that was known without claims and the one that it is."""

    resources: Mapping[Key, UUID]
    ties: Sequence[tuple[UUID, UUID]]


async def identify(
    connection: AsyncConnection, site_id: int, source_id: int, delta: inventory_pb2.InventoryDelta
) -> Identities:
    """Return the resources of the keys that the delta names, minting new ones while there is room; keep the claims."""
    wanted: list[Key] = [(resource.kind, resource.key) for resource in delta.resources]
    known = await find(connection, site_id, [(source_id, *key) for key in wanted])
    found = {key: known[source_id, *key] for key in wanted if (source_id, *key) in known}
    left = await _left(connection, site_id, len(wanted) - len(found))
    candidates = await _candidates(connection, site_id, source_id, delta)
    ties: list[tuple[UUID, UUID]] = []
    new: dict[Key, UUID] = {}
    used = set(found.values())
    for resource in delta.resources:
        key = (resource.kind, resource.key)
        claimed = candidates.best(resource, used)
        if key in found and claimed is not None:
            ties.append((found[key], claimed))
        if key not in found and (claimed or left):
            left -= claimed is None
            found[key] = new[key] = claimed or uuid4()
            used.add(found[key])
    await _keep_keys(connection, site_id, source_id, new)
    await _keep_claims(connection, site_id, delta.resources, found)
    return Identities(found, ties)


async def find(connection: AsyncConnection, site_id: int, references: Iterable[Reference]) -> dict[Reference, UUID]:
    """Return the resources of the references that are known."""
    wanted = list(set(references))
    parameters = {
        "site_id": site_id,
        "sources": [source_id for source_id, _, _ in wanted],
        "kinds": [kind for _, kind, _ in wanted],
        "keys": [key for _, _, key in wanted],
    }
    rows = await (await connection.execute(_SQL["find_keys"], parameters)).fetchall()
    return {(source_id, kind, key): resource_id for source_id, kind, key, resource_id in rows if resource_id}


async def find_or_mint(
    connection: AsyncConnection, site_id: int, references: Collection[Reference]
) -> dict[Reference, UUID]:
    """Return the resources of the references; new ones are minted while there is room, their inventory will follow."""
    found = await find(connection, site_id, references)
    by_source: dict[int, dict[Key, UUID]] = {}
    new = sorted(set(references) - found.keys())
    for source_id, kind, key in new[: await _left(connection, site_id, len(new))]:
        by_source.setdefault(source_id, {})[kind, key] = found[source_id, kind, key] = uuid4()
    for source_id, minted in by_source.items():
        await _keep_keys(connection, site_id, source_id, minted)
    return found


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Resources that hold a strong claim of the delta, but for those that another live key of the source has."""

    by_claim: Mapping[tuple[str, str, str], Sequence[UUID]]  # kind, type and value
    values: Mapping[tuple[UUID, str], Collection[str]]  # of a candidate's claims of a type

    def best(self, resource: inventory_pb2.Resource, used: Collection[UUID]) -> UUID | None:
        claims = sorted((claim for claim in resource.claims if claim.strength >= STRONG), key=lambda c: -c.strength)
        for claim in claims:
            for candidate in self.by_claim.get((resource.kind, claim.type, claim.value), ()):
                if candidate not in used and not self._contradicted(candidate, resource, claim.strength):
                    return candidate
        return None

    def _contradicted(self, candidate: UUID, resource: inventory_pb2.Resource, strength: int) -> bool:
        """Return whether a stronger claim tells the two apart: a copy has its original's weaker ones."""
        stronger = {claim.type for claim in resource.claims if claim.strength > strength}
        own = {(claim.type, claim.value) for claim in resource.claims}
        return any(
            all((kind, value) not in own for value in told)
            for kind in stronger
            if (told := self.values.get((candidate, kind)))
        )


async def _candidates(
    connection: AsyncConnection, site_id: int, source_id: int, delta: inventory_pb2.InventoryDelta
) -> _Candidates:
    strong = {(c.type, c.value) for resource in delta.resources for c in resource.claims if c.strength >= STRONG}
    if not strong:
        return _Candidates({}, {})
    types, values = [claim_type for claim_type, _ in strong], [value for _, value in strong]
    parameters = {"site_id": site_id, "types": types, "values": values, "strong": STRONG}
    rows = await (await connection.execute(_SQL["find_claims"], parameters)).fetchall()
    candidates = list({row[0] for row in rows})
    parameters = {"site_id": site_id, "source_id": source_id, "resources": candidates, "strong": STRONG}
    keys = await (await connection.execute(_SQL["keys_of"], parameters)).fetchall()
    told = await (await connection.execute(_SQL["claims_of"], parameters)).fetchall()
    named = {(resource.kind, resource.key) for resource in delta.resources}
    gone = {(removal.kind, removal.key) for removal in delta.removed}
    taken = {
        resource_id
        for resource_id, kind, key, is_open in keys
        if (kind, key) in named
        or (is_open and (kind, key) not in gone and not names_all_at(delta, place_of_key(kind, key)))
    }
    by_claim: dict[tuple[str, str, str], list[UUID]] = {}
    for resource_id, kind, claim_type, value in rows:
        if resource_id not in taken:
            by_claim.setdefault((kind, claim_type, value), []).append(resource_id)
    claimed: dict[tuple[UUID, str], set[str]] = {}
    for resource_id, claim_type, value in told:
        claimed.setdefault((resource_id, claim_type), set()).add(value)
    return _Candidates(by_claim, claimed)


async def _left(connection: AsyncConnection, site_id: int, new: int) -> int:
    """Return how many of so many new resources may be minted."""
    return min(new, (await rooms(connection, site_id)).resources.left) if new else 0


async def _keep_keys(connection: AsyncConnection, site_id: int, source_id: int, new: Mapping[Key, UUID]) -> None:
    if new:
        parameters = {
            "site_id": site_id,
            "source_id": source_id,
            "kinds": [kind for kind, _ in new],
            "keys": [key for _, key in new],
            "resources": list(new.values()),
        }
        # A resource that was renamed leaves its old key: who comes under that one later is somebody else.
        await connection.execute(_SQL["release_keys"], parameters)
        minted = await (await connection.execute(_SQL["keep_keys"], parameters)).fetchone()
        assert minted is not None
        await count(connection, site_id, resources=minted[0])


async def _keep_claims(
    connection: AsyncConnection,
    site_id: int,
    resources: Iterable[inventory_pb2.Resource],
    found: Mapping[Key, UUID],
) -> None:
    claims = [
        (found[key], claim)
        for resource in resources
        if (key := (resource.kind, resource.key)) in found
        for claim in resource.claims
    ]
    if claims:
        parameters = {
            "site_id": site_id,
            "types": [claim.type for _, claim in claims],
            "values": [claim.value for _, claim in claims],
            "strengths": [claim.strength for _, claim in claims],
            "resources": [resource_id for resource_id, _ in claims],
        }
        await connection.execute(_SQL["keep_claims"], parameters)
