"""A part of a full inventory: what it names is written, what is open between its bounds and not named by it ends.

The one promise: parts may come in any order, twice, late or never: each says how it was at its time of observation, and
what is known of a later time stays. Everything here runs inside the caller's transaction.
"""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from metaconsole.store.database import AsyncConnection
from metaconsole.store.sql import statements
from shared.inventory_parts import Place, bounds
from shared.pb import inventory_pb2

_SQL: Final = statements("inventory_parts")
_LISTS: Final = ("resources", "kinds", "names", "states", "reasons", "attributes")


async def older_aside(connection: AsyncConnection, parameters: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the lists of resources without those that are known of a later time; what is new of these is history."""
    rows = await (await connection.execute(_SQL["known_later"], parameters)).fetchall()
    later = {row[0] for row in rows}
    if later:
        await connection.execute(_SQL["write_before"], {**parameters, **_chosen(parameters, later, known=True)})
    return _chosen(parameters, later, known=False)


async def end_unnamed(
    connection: AsyncConnection, delta: inventory_pb2.InventoryDelta, parameters: Mapping[str, Any]
) -> list[UUID]:
    """End the resources between the bounds that the part does not name; return them."""
    begin, end = bounds(delta)
    if begin is not None and begin[0]:
        return []  # relations only
    named = {**parameters, **_limits(begin, end)}
    return [row[0] for row in await (await connection.execute(_SQL["end_unnamed"], named)).fetchall()]


async def relate(
    connection: AsyncConnection, delta: inventory_pb2.InventoryDelta, parameters: Mapping[str, Any]
) -> None:
    """Write the relations of a part, and end those between its bounds that it does not name."""
    begin, end = bounds(delta)
    if end is not None and not end[0]:
        return  # resources only
    await connection.execute(_SQL["write_relations"], parameters)
    await connection.execute(_SQL["end_unnamed_relations"], {**parameters, **_limits(begin, end)})


def _limits(begin: Place | None, end: Place | None) -> dict[str, list[str] | None]:
    return {"begin": list(begin) if begin else None, "end": list(end) if end else None}


def _chosen(parameters: Mapping[str, Any], ids: set[UUID], *, known: bool) -> dict[str, list[Any]]:
    places = [number for number, one in enumerate(parameters["resources"]) if (one in ids) is known]
    return {name: [parameters[name][place] for place in places] for name in _LISTS}
