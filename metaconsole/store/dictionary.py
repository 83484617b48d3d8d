"""The dictionary of series: which there are of a resource, or of a metric of a kind of resource.

The one promise: nothing of a site outside the scope is ever returned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from psycopg.rows import class_row

from metaconsole.store.database import Connection
from metaconsole.store.samples import QueryTooLargeError
from metaconsole.store.scope import Scope
from metaconsole.store.sent import numbers
from metaconsole.store.sql import statements
from shared.columns import I64

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


def grouped_series(
    connection: Connection,
    scope: Scope,
    kind: str | None,
    site: str | None,
    metric: str,
    names: Sequence[str],
    limit: int,
) -> tuple[list[Series], list[tuple[str, ...]]]:
    """Return the series of one metric of present resources, and of each its labels.

    A label is the kind, the site or the resource, or an attribute of the series or else of its resource; raises
    QueryTooLargeError above limit.
    """
    values = {
        "kind": kind,
        "site": site,
        "metric": metric,
        "names": list(names),
        "sites": scope.parameter,
        "limit": limit + 1,
    }
    rows = connection.execute(_SQL["series_by_group"], values).fetchall()
    if len(rows) > limit:
        raise QueryTooLargeError(f"more than {limit} series of {metric} match; name a kind or a site")
    return [Series(*row[:-1]) for row in rows], [tuple(row[-1]) for row in rows]


def series_by_id(connection: Connection, found: Sequence[tuple[int, int]]) -> list[Series]:
    """Return series by site and id, in order; those that are gone are left out."""
    values = {"site_ids": [site_id for site_id, _ in found], "series": [series_id for _, series_id in found]}
    with connection.cursor(row_factory=class_row(Series)) as cursor:
        return cursor.execute(_SQL["series_by_id"], values).fetchall()


def sites_in(connection: Connection, scope: Scope, site: str | None) -> dict[int, tuple[int, int]]:
    """Return the sites with satellites of the scope, or the one of a name: highest series and count of definitions.

    Either changes when series are added.
    """
    rows = connection.execute(_SQL["sites_in"], {"site": site, "sites": scope.parameter}).fetchall()
    return {site_id: (newest, defined) for site_id, newest, defined in rows}


def ids_of_kind(connection: Connection, site_id: int, kind: str, metric: str, after: int) -> I64:
    """Return the ids after one, ascending, of the series of a metric of a site's resources of a kind, gone ones too."""
    values = {"site": site_id, "kind": kind, "metric": metric, "after": after}
    with connection.cursor(binary=True) as cursor:
        row = cursor.execute(_SQL["ids_of_kind"], values).fetchone()
    return np.empty(0, np.int64) if row is None or row[0] is None else numbers([row[0]], "int8")
