"""The health of the satellites and of what they poll, as told by their last heartbeats."""

from typing import Any

from flask import Blueprint, render_template

from metaconsole.store import overview
from metaconsole.web.satellites import administer, view
from metaconsole.web.security import current_principal, signed_in
from metaconsole.web.services import services
from metaconsole.web.sources import view as sources_view
from metaconsole.web.ui.context import carried

pages = Blueprint("satellites", __name__, template_folder="templates")


@pages.get("/satellites")
@signed_in
def index() -> str:
    """Show every satellite with its sources."""
    scope = current_principal().scope
    with services().database.read() as connection:
        satellites = view.satellites(connection, scope)
        sources = sources_view.sources(connection, scope)
        administered = {one.name for one in overview.sites(connection, administer.administered())}
    site = carried().get("site")
    shown = [one for one in satellites if site in (None, one["site"])]
    by: dict[str, list[dict[str, Any]]] = {
        one["id"]: [s for s in sources if (s["site"], s["satellite"]) == (one["site"], one["name"])] for one in shown
    }
    return render_template("satellites/index.html", satellites=shown, sources_by=by, administered=administered)
