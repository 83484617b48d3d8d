"""The dictionary of series: which there are of a resource, or of a metric of a kind of resource.

The one promise: nothing of a site outside the scope is ever returned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from psycopg.rows import class_row

from metaconsole.store.database import Connection
from metaconsole.store.samples import QueryTooLargeError
from metaconsole.store.scope import Scope
from metaconsole.store.sql import statements

_SQL: Final = statements("dictionary")


@dataclass(frozen=True, slots=True)
class Series:
    """One series of the dictionary; first_ms is when it was first seen, UTC milliseconds."""

    site_id: int
    series_id: int
    resource_id: str
    metric_id: int
    metric: str
    attributes: dict[str, str]
    first_ms: int


def series_of(
    connection: Connection,
    scope: Scope,
    resources: Sequence[str],
    metrics: Sequence[str] | None = None,
    limit: int = 1_000_000,
) -> list[Series]:
    """Return the series of resources (UUIDs), of some metrics or of all."""
    values = {
        "resources": list(resources),
        "metrics": None if metrics is None else list(metrics),
        "sites": scope.parameter,
        "limit": limit,
    }
    with connection.cursor(row_factory=class_row(Series)) as cursor:
        return cursor.execute(_SQL["series_by_resource"], values).fetchall()


def visible(connection: Connection, scope: Scope, resources: Sequence[str]) -> set[str]:
    """Return which of the resources (UUIDs) exist within the scope."""
    values = {"resources": list(resources), "sites": scope.parameter}
    return {row[0] for row in connection.execute(_SQL["visible"], values)}


def series_of_kind(
    connection: Connection, scope: Scope, kind: str, site: str | None, metric: str, limit: int
) -> list[Series]:
    """Return the series of one metric of all present resources of a kind; raises QueryTooLargeError above limit."""
    values = {"kind": kind, "site": site, "metric": metric, "sites": scope.parameter, "limit": limit + 1}
    with connection.cursor(row_factory=class_row(Series)) as cursor:
        found = cursor.execute(_SQL["series_by_kind"], values).fetchall()
    if len(found) > limit:
        raise QueryTooLargeError(f"more than {limit} series of {metric} match; name a site or ask without a step")
    return found
