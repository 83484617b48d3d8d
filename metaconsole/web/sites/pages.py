"""The first page: a tile per site with its worst state, what is there, and whether its satellites are heard of."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, render_template

from metaconsole.web.satellites import view as satellites_view
from metaconsole.web.security import current_principal, signed_in
from metaconsole.web.services import services
from metaconsole.web.sites import view
from metaconsole.web.ui import states
from metaconsole.web.ui.context import carried
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
