"""The pages on which an administrator lets satellites join, withdraws tokens, and revokes satellites.

The one promise: a token is shown once, as the answer to its form: it is in no address, no history and no cache.
"""

import re
from typing import Final

from flask import Blueprint, Response, make_response, redirect, render_template, request
from pydantic import ValidationError

from metaconsole import tokens
from metaconsole.store import overview
from metaconsole.web.errors import Problem
from metaconsole.web.satellites import administer
from metaconsole.web.satellites.administer import TokenWanted
from metaconsole.web.security import signed_in
from metaconsole.web.services import services
from metaconsole.web.ui.context import address
from metaconsole.web.ui.language import gettext

pages = Blueprint("administer_satellites", __name__, template_folder="templates")
_FIELDS: Final = ("site", "name", "satellite", "hours", "address")


@pages.get("/satellites/tokens")
@signed_in("admin")
def index() -> str:
    """Show the form and the tokens that nobody used yet."""
    given = {name: request.args.get(name, "") for name in ("site", "satellite")}
    return _form(given | {"hours": f"{tokens.HOURS:g}", "address": services().settings.enrol_address})


@pages.post("/satellites/tokens")
@signed_in("admin")
def create() -> Response:
    """Make a token and show it, this once."""
    given = {name: request.form.get(name, "").strip() for name in _FIELDS}
    try:
        made = administer.make_token(_wanted(given))
    except Problem as problem:
        if problem.status not in (400, 409):
            raise
        return make_response(_form(given, problem.detail), 400)
    return make_response(render_template("satellites/token.html", made=made, site=given["site"], folder=made.name), 201)


@pages.post("/satellites/tokens/<token_id>/withdraw")
@signed_in("admin")
def withdraw(token_id: str) -> Response:
    """Withdraw a token, and show those that are left."""
    administer.withdraw_token(token_id)
    return make_response(redirect(address("administer_satellites.index"), code=303))


@pages.get("/satellites/<satellite_id>/revoke")
@signed_in("admin")
def ask(satellite_id: str) -> str:
    """Say what revoking a satellite does, and ask."""
    with services().database.read() as connection:
        site, name = administer.named(connection, satellite_id)
    return render_template("satellites/revoke.html", site=site, name=name)


@pages.post("/satellites/<satellite_id>/revoke")
@signed_in("admin")
def revoke(satellite_id: str) -> Response:
    """Revoke it, and go back to the satellites, which show it."""
    administer.revoke(satellite_id)
    return make_response(redirect(address("satellites.index"), code=303))


def _form(given: dict[str, str], error: str = "") -> str:
    with services().database.read() as connection:
        sites = overview.sites(connection, administer.administered())
    page: str = render_template(
        "satellites/tokens.html", given=given, error=error, sites=sites, open=administer.tokens_of_mine(),
        most=tokens.MOST_HOURS,
    )  # fmt: skip
    return page


def _wanted(given: dict[str, str]) -> TokenWanted:
    if not re.fullmatch(r"\d{1,3}(\.\d{1,3})?", given["hours"]):
        raise Problem(400, gettext("The hours are a number, as 1 or 0.5."))
    try:
        return TokenWanted(
            site=given["site"], name=given["name"] or None, satellite=given["satellite"] or None,
            hours=float(given["hours"]), address=given["address"] or None, uplinks=[],
        )  # fmt: skip
    except ValidationError as error:
        told = "; ".join(f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors(include_url=False))
        raise Problem(400, f"{told}.") from error
