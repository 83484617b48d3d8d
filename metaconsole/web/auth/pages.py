"""Signing in and out by hand; links and the API's ways are in auth/api.py."""

from flask import Blueprint, Response, make_response, redirect, render_template, request

from metaconsole.auth.secrets import BusyError
from metaconsole.auth.sign_in import SignInRefusedError
from metaconsole.web.auth import session
from metaconsole.web.security import entrance, maybe_principal, public
from metaconsole.web.ui.language import gettext
from metaconsole.web.ui.preferences import safe_path

pages = Blueprint("sign_in", __name__, template_folder="templates")


@pages.get("/sign-in")
@public
def form() -> Response:
    """Show the form; who is signed in already goes on."""
    target = safe_path(request.args.get("next", "/"))
    if maybe_principal() is not None:
        return make_response(redirect(target, code=303))
    return make_response(render_template("auth/sign_in.html", next=target, name="", error=""))


@pages.post("/sign-in")
@entrance
def enter() -> Response:
    """Sign in with name and password, and go on to where the reader wanted to be."""
    target = safe_path(request.form.get("next", "/"))
    name, password = request.form.get("name", "").strip(), request.form.get("password", "")
    try:
        signed_in = session.sign_in(name, password)
    except SignInRefusedError as refusal:
        return _refused(target, name, refusal.retry_after)
    except BusyError:
        return _refused(target, name, 1)
    return session.start(make_response(redirect(target, code=303)), signed_in.secret)


@pages.post("/sign-out")
@public
def leave() -> Response:
    """End the session."""
    return session.sign_out(make_response(redirect("/sign-in", code=303)))


def _refused(target: str, name: str, retry_after: int) -> Response:
    if retry_after:
        error = gettext("Too many attempts. Try again in %(seconds)s s.") % {"seconds": retry_after}
    else:
        error = gettext("Name or password is wrong.")
    page = render_template("auth/sign_in.html", next=target, name=name, error=error)
    answer = make_response(page, 429 if retry_after else 401)
    if retry_after:
        answer.headers["Retry-After"] = str(retry_after)
    return answer
