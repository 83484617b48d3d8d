"""The first page: a tile per site with its worst state, what is there, and whether its satellites are heard of."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template, request

from metaconsole.auth.principal import NOTHING
from metaconsole.store.site_settings import find_budget, find_rooms, hours_text
from metaconsole.web.errors import Problem
from metaconsole.web.satellites import view as satellites_view
from metaconsole.web.security import current_principal, signed_in
from metaconsole.web.services import services
from metaconsole.web.sites import view
from metaconsole.web.sites.api import change_backfill, change_quotas
from metaconsole.web.ui import states
from metaconsole.web.ui.context import address, carried
from metaconsole.web.ui.language import gettext
from shared.model import Kind

pages = Blueprint("sites", __name__, template_folder="templates")


@pages.get("/")
@signed_in
def index() -> str:
    """Show the sites, the worst first."""
    scope = current_principal().scope
    with services().database.read() as connection:
        sites = view.sites(connection, scope)
        satellites = satellites_view.satellites(connection, scope)
    chosen = carried().get("site")
    tiles = [_tile(site, satellites) for site in sites if chosen in (None, site["name"])]
    tiles.sort(key=lambda tile: -states.rank(tile["state"]))
    return render_template("sites/index.html", tiles=tiles)


@pages.get("/sites/<name>/backfill")
@signed_in("admin")
def backfill(name: str) -> str:
    """Show a site's budget of backfill to whoever may change it."""
    with services().database.read() as connection:
        budget = find_budget(connection, name, current_principal().scopes.get("admin", NOTHING))
    return render_template("sites/backfill.html", site=name, kbit=budget.kbit, hours=hours_text(budget), error="")


@pages.post("/sites/<name>/backfill")
@signed_in("admin")
def set_backfill(name: str) -> Response:
    """Change it, and go back to the satellites, which show what becomes of it."""
    kbit, hours = request.form.get("kbit", "").strip(), request.form.get("hours", "").strip()
    try:
        if not re.fullmatch(r"\d{1,9}", kbit or "0"):
            raise Problem(400, gettext("The rate is a number of kbit/s; 0 or nothing for no limit."))
        change_backfill(name, int(kbit or "0"), hours)
    except Problem as problem:
        page = render_template("sites/backfill.html", site=name, kbit=kbit, hours=hours, error=problem.detail)
        return make_response(page, 400)
    return make_response(redirect(address("satellites.index", site=name), code=303))


@pages.get("/sites/<name>/series")
@signed_in("admin")
def series(name: str) -> str:
    """Show how many series and resources a site may have to whoever may change it."""
    return _series_page(name, {})


@pages.post("/sites/<name>/series")
@signed_in("admin")
def set_series(name: str) -> Response:
    """Change it, and go back to the satellites, which show what becomes of it."""
    typed = {field: request.form.get(field, "").strip() for field in ("quota", "resources")}
    try:
        if not all(re.fullmatch(r"\d{1,10}", text) for text in typed.values()):
            raise Problem(400, gettext("How many series and resources: two numbers."))
        change_quotas(name, int(typed["quota"]), int(typed["resources"]))
    except Problem as problem:
        return make_response(_series_page(name, typed, problem.detail), 400)
    return make_response(redirect(address("satellites.index", site=name), code=303))


def _series_page(name: str, typed: Mapping[str, str], error: str = "") -> str:
    with services().database.read() as connection:
        rooms = find_rooms(connection, name, current_principal().scopes.get("admin", NOTHING))
    fields = {"quota": rooms.series.quota, "resources": rooms.resources.quota} | dict(typed)
    return render_template("sites/series.html", site=name, rooms=rooms, error=error, **fields)


def _tile(site: Mapping[str, Any], satellites: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    kinds = [
        (kind, sum(counts.values()), sorted(counts.items(), key=lambda one: -states.rank(one[0])))
        for kind, counts in sorted(site["resources"].items(), key=lambda one: _place(one[0]))
    ]
    own = [one for one in satellites if one["site"] == site["name"] and one["state"] != "revoked"]
    return {**site, "state": worst_state(site), "kinds": kinds, "satellites": own}


def worst_state(site: Mapping[str, Any]) -> str:
    """Return ok, unknown, warning or critical: the worst of a site's own state and of its resources."""
    found = [site["state"], *(state for counts in site["resources"].values() for state in counts)]
    worst = states.look_name(max(found, key=states.rank))
    # What somebody switched off or is working on is nothing to worry about.
    return "ok" if worst in ("off", "maintenance") else worst


def _place(kind: str) -> int:
    kinds = list(Kind)
    return kinds.index(Kind(kind)) if kind in kinds else len(kinds)
