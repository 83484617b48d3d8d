"""Series definitions: from what a satellite calls a series in an epoch to the one global id that it has for ever.

The one promise: the same (resource, metric, attributes) maps to the same global id, whatever epoch or satellite
defines it, and a definition that has been answered is kept until its epoch is drained, or has to be told anew because
the site has room for what of it was refused.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import numpy as np

from metaconsole.store.database import AsyncConnection, StoreError, transaction
from metaconsole.store.definitions import Definition
from metaconsole.store.identity import STRONG
from metaconsole.store.quota import REFUSED, Excess, Rooms, count, note_refused, rooms
from metaconsole.store.sql import statements
from shared.columns import I64
from shared.model import CLAIM_STRENGTH

_NOBODY: Final = UUID(int=0)  # no resource has it
_SQL: Final = statements("series")
_STRONG_TYPES: Final = sorted(name for name, strength in CLAIM_STRENGTH.items() if strength >= STRONG)


class OutOfOrderError(StoreError):
    """Definitions must continue where the epoch's known ones end."""


@dataclass(frozen=True, slots=True)
class SeriesIds:
    """Of equal length, in order of the epoch's ids: global series ids, metrics and sources.

    Where a definition is refused all are 0, but where it is for the quota: there the series is -1.
    """

    series: I64
    metrics: I64
    sources: I64
    excess: Excess | None = field(default=None, kw_only=True)  # what the quota refused of them when they were defined


async def register_metrics(connection: AsyncConnection, names: Sequence[str]) -> dict[str, int]:
    """Return the ids of the catalogue's metrics, numbering those that are new; raises UnavailableError."""
    async with transaction(connection):
        await connection.execute(_SQL["create_metrics"], {"names": sorted(names)})
        rows = await (await connection.execute(_SQL["find_metrics"], {"names": list(names)})).fetchall()
    return dict(rows)


async def load_sources(connection: AsyncConnection, site_id: int) -> dict[str, int]:
    """Return the ids of all sources of a site by name; raises UnavailableError."""
    async with transaction(connection):
        rows = await (await connection.execute(_SQL["load_sources"], {"site_id": site_id})).fetchall()
    return dict(rows)


async def load_series(connection: AsyncConnection, site_id: int, satellite_id: UUID, epoch: UUID) -> SeriesIds:
    """Return the whole map of an epoch as it is known; raises UnavailableError."""
    who = {"site_id": site_id, "satellite_id": satellite_id, "epoch": epoch}
    async with transaction(connection):
        rows = await (await connection.execute(_SQL["load"], who)).fetchall()
    columns = [
        np.concatenate([np.array(row[n], np.int64) for row in rows] or [np.empty(0, np.int64)]) for n in (1, 2, 3)
    ]
    return SeriesIds(*columns)


async def define_series(
    connection: AsyncConnection,
    site_id: int,
    satellite_id: UUID,
    epoch: UUID,
    first_id: int,
    definitions: Sequence[Definition],
) -> SeriesIds:
    """Keep the definitions of the ids first_id, first_id + 1 ...; raises OutOfOrder- or UnavailableError."""
    who = {"site_id": site_id, "satellite_id": satellite_id, "epoch": epoch}
    columns = [np.zeros(len(definitions), np.int64) for _ in range(3)]
    excess: Excess | None = None
    async with transaction(connection):
        await lock_site(connection, site_id)
        good, refused, for_resources, found = await _admit(connection, site_id, definitions)
        if good:
            rows = await _mint(connection, site_id, [definitions[index] for index in good])
            for column, minted in zip(columns, zip(*rows, strict=True), strict=True):
                column[good] = minted
        if refused:
            over = [definitions[index] for index in refused]
            columns[0][refused], columns[1][refused] = REFUSED, [one.metric_id for one in over]
            excess = await note_refused(connection, site_id, satellite_id, epoch, over, for_resources, found)
        lists = dict(zip(("series_ids", "metric_ids", "source_ids"), (c.tolist() for c in columns), strict=True))
        # Last, so that whoever holds the epoch's row waits for nothing more.
        through = {**who, "first_id": first_id, "last_id": first_id + len(definitions) - 1}
        if not (await connection.execute(_SQL["advance"], through)).rowcount:
            raise OutOfOrderError(f"series definitions of epoch {epoch} do not continue before id {first_id}")
        await connection.execute(_SQL["keep"], {**through, **lists})
    return SeriesIds(*columns, excess=excess)


async def mint_sources(connection: AsyncConnection, site_id: int, names: Sequence[str]) -> dict[str, int]:
    """Return the ids of the sources, creating those that are new; inside a transaction that holds the site's lock."""
    wanted = sorted(set(names))
    rows = await (await connection.execute(_SQL["find_sources"], {"site_id": site_id, "names": wanted})).fetchall()
    found: dict[str, int] = dict(rows)
    if missing := [name for name in wanted if name not in found]:
        created = await connection.execute(_SQL["create_sources"], {"site_id": site_id, "names": missing})
        found.update(await created.fetchall())
    return found


async def lock_site(connection: AsyncConnection, site_id: int) -> None:
    """Wait for the site's lock, which everybody holds who mints or changes resources, to the transaction's end."""
    await connection.execute(_SQL["lock_site"], {"site_id": site_id})


async def _admit(
    connection: AsyncConnection, site_id: int, definitions: Sequence[Definition]
) -> tuple[list[int], list[int], int, Rooms]:
    """Return the places of the definitions that get a series and of those that a quota refuses, and why.

    That is how many of the latter are of new resources for which there is no room, and the quotas.
    """
    good = [place for place, definition in enumerate(definitions) if definition.metric_id]
    found = await rooms(connection, site_id)
    if len(good) <= min(found.series.left, found.resources.left):  # whether they are new or not
        return good, [], 0, found
    known = await _known(connection, site_id, [definitions[place] for place in good])
    new: set[Definition] = set()
    fresh: set[tuple[str, str, str]] = set()  # resources
    admitted: list[int] = []
    refused: list[int] = []
    for_resources = 0
    for place, (has_resource, has_series) in zip(good, known, strict=True):
        definition = definitions[place]
        resource = (definition.source, definition.kind, definition.key)
        is_fresh = not has_resource and resource not in fresh
        if has_series or definition in new:
            admitted.append(place)
        elif is_fresh and len(fresh) == found.resources.left:
            for_resources += 1
            refused.append(place)
        elif len(new) == found.series.left:
            refused.append(place)
        else:
            new.add(definition)
            fresh.update([resource] * is_fresh)
            admitted.append(place)
    return admitted, refused, for_resources, found


async def _known(
    connection: AsyncConnection, site_id: int, definitions: Sequence[Definition]
) -> list[tuple[bool, bool]]:
    """Return of each definition whether its resource and its series exist; nothing is minted."""
    names = sorted({definition.source for definition in definitions})
    rows = await (await connection.execute(_SQL["find_sources"], {"site_id": site_id, "names": names})).fetchall()
    sources = dict.fromkeys(names, 0) | dict(rows)
    parameters = _parameters(site_id, definitions, sources)
    rows = await (await connection.execute(_SQL["find_resources"], parameters)).fetchall()
    parameters["resources"] = [resource_id or _NOBODY for (resource_id,) in rows]
    rows = await (await connection.execute(_SQL["find_series"], parameters)).fetchall()
    found = zip(parameters["resources"], rows, strict=True)
    return [(resource_id != _NOBODY, series_id is not None) for resource_id, (series_id,) in found]


async def _mint(
    connection: AsyncConnection, site_id: int, definitions: Sequence[Definition]
) -> list[tuple[int, int, int]]:
    """Return global id, metric and source of each definition, in order."""
    sources = await mint_sources(connection, site_id, [definition.source for definition in definitions])
    parameters = _parameters(site_id, definitions, sources)
    resources = (await connection.execute(_SQL["mint_resources"], parameters)).rowcount
    rows = await (await connection.execute(_SQL["find_resources"], parameters)).fetchall()
    parameters["resources"] = [resource_id for (resource_id,) in rows]
    minted = await connection.execute(_SQL["mint_series"], parameters)
    await count(connection, site_id, series=minted.rowcount, resources=resources)
    rows = await (await connection.execute(_SQL["find_series"], parameters)).fetchall()
    series = [series_id for (series_id,) in rows]
    return list(zip(series, parameters["metrics"], parameters["sources"], strict=True))


def _parameters(site_id: int, definitions: Sequence[Definition], sources: Mapping[str, int]) -> dict[str, Any]:
    return {
        "site_id": site_id,
        "strong": _STRONG_TYPES,
        "sources": [sources[definition.source] for definition in definitions],
        "kinds": [definition.kind for definition in definitions],
        "keys": [definition.key for definition in definitions],
        "metrics": [definition.metric_id for definition in definitions],
        "attributes": [json.dumps(dict(definition.attributes)) for definition in definitions],
    }
