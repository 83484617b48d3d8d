"""Sites and their settings.

The one promise: only sites within the scope of who asks, and changes by administrators only.
"""

from typing import Any, Final, Literal

from apiflask import APIBlueprint
from flask import Response, request
from pydantic import Field

from metaconsole.auth.principal import NOTHING
from metaconsole.store.budgets import Budget
from metaconsole.store.quota import MOST
from metaconsole.store.site_settings import (
    MOST_KBIT,
    find_budget,
    find_rooms,
    hours_text,
    parse_hours,
    set_budget,
    set_quotas,
)
from metaconsole.web.errors import Problem
from metaconsole.web.security import current_principal, signed_in
from metaconsole.web.services import services
from metaconsole.web.shapes import Listed, Shape
from metaconsole.web.sites import view

api: Final = APIBlueprint("api_sites", __name__, url_prefix="/api/v1", tag="sites")


class Site(Shape):
    """A place with its own failure domain."""

    id: str
    name: str
    title: str
    state: Literal["ok", "degraded", "unknown"] = Field(description="unknown: none of its satellites is heard of")
    resources: dict[str, dict[str, int]] = Field(description="how many, by kind and state")
    satellites: int
    satellites_seen: int
    sources: int
    sources_ok: int


class Sites(Listed[Site]):
    """Sites."""


class Backfill(Shape):
    """How fast and when a site sends what it could not send before; what is collected now has no budget."""

    kbit: int = Field(ge=0, le=MOST_KBIT, description="kbit/s at most; 0: as fast as the line carries")
    hours: str = Field("", max_length=11, description="only then, in UTC, as 22:00-06:00; empty: all day")


class Quotas(Shape):
    """How many series and resources a site may have; what is beyond is refused and counted."""

    quota: int | None = Field(None, ge=0, le=MOST, description="of series; null: as before")
    resource_quota: int | None = Field(None, ge=0, le=MOST, description="of resources; null: as before")


class SiteRooms(Shape):
    """How many series and resources a site may have, and has, those of which only history is left among them."""

    quota: int = Field(description="of series")
    series: int
    resource_quota: int
    resources: int


@api.get("/sites")
@signed_in
@api.output(Sites)
@api.doc(operation_id="listSites")
def index() -> dict[str, Any]:
    """List the sites and how they stand."""
    with services().database.read() as connection:
        return {"items": view.sites(connection, current_principal().scope), "next": None}


@api.get("/sites/<name>/backfill")
@signed_in
@api.output(Backfill)
@api.doc(operation_id="getBackfill")
def backfill(name: str) -> dict[str, Any]:
    """Return a site's budget of backfill."""
    with services().database.read() as connection:
        budget = find_budget(connection, name, current_principal().scope)
    return {"kbit": budget.kbit, "hours": hours_text(budget)}


@api.put("/sites/<name>/backfill")
@signed_in("admin")
@api.input(Backfill, location="json", arg_name="given")
@api.output({}, status_code=204)
@api.doc(operation_id="setBackfill")
def set_backfill(name: str, given: Backfill) -> Response:
    """Set a site's budget of backfill; its satellites follow within seconds."""
    change_backfill(name, given.kbit, given.hours)
    return Response(status=204)


def change_backfill(name: str, kbit: int, hours: str) -> None:
    """Set the budget on behalf of who asks; raises Problem 400, UnknownSiteError."""
    principal = current_principal()
    try:
        budget = Budget(kbit, *parse_hours(hours))
        with services().database.write() as connection:
            where = principal.scopes.get("admin", NOTHING)
            set_budget(connection, name, budget, principal.name, request.remote_addr or "", where)
    except ValueError as error:
        raise Problem(400, str(error)) from error


@api.get("/sites/<name>/series")
@signed_in
@api.output(SiteRooms)
@api.doc(operation_id="getSeriesQuota")
def series(name: str) -> dict[str, Any]:
    """Return how many series and resources a site may have, and has."""
    with services().database.read() as connection:
        rooms = find_rooms(connection, name, current_principal().scope)
    return {
        "quota": rooms.series.quota,
        "series": rooms.series.used,
        "resource_quota": rooms.resources.quota,
        "resources": rooms.resources.used,
    }


@api.put("/sites/<name>/series")
@signed_in("admin")
@api.input(Quotas, location="json", arg_name="given")
@api.output({}, status_code=204)
@api.doc(operation_id="setSeriesQuota")
def set_series(name: str, given: Quotas) -> Response:
    """Set how many series and resources a site may have; what was refused is taken soon where there is room now."""
    change_quotas(name, given.quota, given.resource_quota)
    return Response(status=204)


def change_quotas(name: str, series: int | None, resources: int | None) -> None:
    """Set the quotas on behalf of who asks; raises Problem 400, UnknownSiteError."""
    principal = current_principal()
    try:
        with services().database.write() as connection:
            where = principal.scopes.get("admin", NOTHING)
            address = request.remote_addr or ""
            set_quotas(connection, name, principal.name, address, where, series=series, resources=resources)
    except ValueError as error:
        raise Problem(400, str(error)) from error
