"""The list of resources and the page of one: its facts on the server, its graphs from the API by scripts."""

from itertools import groupby
from typing import Any, Final

from flask import Blueprint, render_template, request

from metaconsole.store import resources
from metaconsole.store.cursors import CursorError
from metaconsole.web.errors import Problem
from metaconsole.web.resources import view
from metaconsole.web.security import current_principal, signed_in
from metaconsole.web.services import services
from metaconsole.web.ui import formats, words
from metaconsole.web.ui.context import carried
from shared.model import Kind

pages = Blueprint("resources", __name__, template_folder="templates")
_PAGE: Final = 100
_EVENTS: Final = 20
_LONGEST: Final = 200  # characters of a search


@pages.get("/resources")
@signed_in
def index() -> str:
    """Show what matches the search and the filters, a page at a time."""
    chosen = _chosen()
    narrowed = resources.Filter(kind=chosen["kind"], site=carried().get("site"), q=chosen["q"])
    cursor = request.args.get("cursor") or None
    with services().database.read() as connection:
        try:
            page = resources.list_resources(connection, current_principal().scope, narrowed, cursor, _PAGE)
        except CursorError as error:
            raise Problem(400, "The address of this page of the list is not valid.") from error
        items = view.present(connection, page.items)
    return render_template(
        "resources/index.html",
        items=items,
        next=page.next,
        cursor=cursor,
        q=chosen["q"] or "",
        chosen_kind=chosen["kind"],
        kinds=list(Kind),
    )


@pages.get("/resources/<id>")
@signed_in
def show(id: str) -> str:  # noqa: A002
    """Show one resource."""
    scope = current_principal().scope
    with services().database.read() as connection:
        row = resources.get_resource(connection, scope, id)
        item = view.present(connection, [row])[0]
        related = view.present_related(connection, resources.relations(connection, scope, id))
        events, _ = resources.events(connection, scope, id, limit=_EVENTS)
    return render_template(
        "resources/show.html", item=item, facts=_facts(item["attributes"]), relations=_grouped(related), events=events
    )


def _chosen() -> dict[str, str | None]:
    """Return the search and the filters of the address; what makes no sense filters nothing."""
    given = {name: request.args.get(name, "") for name in ("q", "kind")}
    return {
        "q": given["q"].strip()[:_LONGEST] or None,
        "kind": given["kind"] if given["kind"] in list(Kind) else None,
    }


def _facts(attributes: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """Return name, word and text of each attribute: those with a word of ours first, in the order of the words."""
    order = {name: place for place, name in enumerate(words.FACTS)}
    found = []
    for name in sorted(attributes, key=lambda one: (order.get(one, len(order)), one)):
        label, form = words.fact(name)
        found.append((name, label, formats.fact(attributes[name], form)))
    return found


def _grouped(related: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the other ends of relations by the word for the relation."""
    ends = sorted(related, key=lambda one: (one["type"], one["direction"]))
    return [
        (words.relation(kind, direction), [one["resource"] for one in ends_of])
        for (kind, direction), ends_of in groupby(ends, key=lambda one: (one["type"], one["direction"]))
    ]
