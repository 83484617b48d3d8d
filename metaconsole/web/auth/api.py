"""Signing in and out, for the dashboard and for scripts that work with a session.

The one promise: an answer never tells whether a name exists.
"""

from typing import Final, Literal

from apiflask import APIBlueprint
from flask import Blueprint, Response, jsonify, make_response, redirect, request
from pydantic import Field

from metaconsole.auth import sign_in as auth
from metaconsole.auth.principal import Principal
from metaconsole.store import accounts
from metaconsole.web.auth.session import end_present, sign_in, sign_out, start
from metaconsole.web.errors import Problem
from metaconsole.web.security import current_principal, entrance, public, signed_in
from metaconsole.web.services import services
from metaconsole.web.shapes import Shape

api: Final = APIBlueprint("api_auth", __name__, url_prefix="/api/v1", tag="accounts")
links: Final = Blueprint("links", __name__)


class Credentials(Shape):
    """A name and a password."""

    name: str = Field(min_length=1, max_length=127)
    password: str = Field(min_length=1, max_length=4096)


class Me(Shape):
    """Who is asking."""

    name: str
    rights: list[str]
    sites: list[str] | None = Field(description="ids of the sites that may be read; null for all")
    locale: str = Field(description="en, es, or empty to follow the browser")
    csrf_token: str = Field(description="for the header X-CSRF-Token of unsafe requests; empty for a token")


class Locale(Shape):
    """A language."""

    locale: Literal["", "en", "es"]


@api.post("/sign-in")
@entrance
@api.input(Credentials, location="json", arg_name="given")
@api.output(Me)
@api.doc(operation_id="signIn", responses={401: "The name or the password is wrong", 429: "Too many failures"})
def enter(given: Credentials) -> Response:
    """Begin a session; its cookie is set."""
    try:
        done = sign_in(given.name, given.password)
    except auth.SignInRefusedError as error:
        raise refusal(error) from error
    principal = auth.by_session(services().database, done.secret)
    assert principal is not None
    return start(jsonify(_me(principal)), done.secret)


@api.post("/sign-out")
@signed_in
@api.output({}, status_code=204)
@api.doc(operation_id="signOut")
def leave() -> Response:
    """End the session."""
    return sign_out(Response(status=204))


@api.get("/me")
@signed_in
@api.output(Me)
@api.doc(operation_id="getMe")
def me() -> dict[str, object]:
    """Return who is asking and what they may do."""
    return _me(current_principal())


@api.put("/me/locale")
@signed_in
@api.input(Locale, location="json", arg_name="given")
@api.output({}, status_code=204)
@api.doc(operation_id="setLocale")
def set_locale(given: Locale) -> Response:
    """Choose the language of the account."""
    account_id = current_principal().account_id
    if account_id is None:
        raise Problem(403, "A token has no language; sign in to an account.")
    with services().database.write() as connection:
        accounts.set_locale(connection, account_id, given.locale)
    return Response(status=204)


@links.get("/sign-in/link/<secret>")
@public
def use_link(secret: str) -> Response:
    """Sign in by a one-time link; it is used up by being opened."""
    try:
        session = auth.with_link(services().database, secret, request.remote_addr or "")
    except auth.SignInRefusedError as error:
        raise Problem(410, str(error)) from error
    end_present()
    return start(make_response(redirect("/", code=302)), session)


def refusal(error: auth.SignInRefusedError) -> Problem:
    """Return the problem that a refused sign-in is answered with."""
    if error.retry_after:
        return Problem(429, str(error), {"Retry-After": str(error.retry_after)})
    return Problem(401, str(error))


def _me(principal: Principal) -> dict[str, object]:
    sites = principal.scope.parameter
    return {
        "name": principal.name,
        "rights": sorted(principal.rights),
        "sites": None if sites is None else [str(site) for site in sites],
        "locale": principal.locale,
        "csrf_token": principal.csrf,
    }
