"""Theme and language: small forms of the account menu that come back to the page they were sent from."""

from typing import Final

from flask import Blueprint, Response, redirect, request

from metaconsole.store import accounts
from metaconsole.web.security import maybe_principal, public
from metaconsole.web.services import services
from metaconsole.web.ui.context import THEME_COOKIE, THEMES
from metaconsole.web.ui.language import COOKIE, LANGUAGES

pages = Blueprint("preferences", __name__, template_folder="templates")
_YEAR: Final = 365 * 86_400


def safe_path(path: str) -> str:
    """Return a path of this site to go back to, / when what was given leads anywhere else."""
    harmless = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if harmless else "/"


def _back() -> Response:
    answer = redirect(safe_path(request.form.get("next", "/")), code=303)
    assert isinstance(answer, Response)
    return answer


def _keep(answer: Response, name: str, value: str) -> Response:
    answer.set_cookie(name, value, max_age=_YEAR, samesite="Lax", httponly=True, secure=request.is_secure)
    return answer


@pages.post("/preferences/theme")
@public
def choose_theme() -> Response:
    """Keep the theme in a cookie."""
    chosen = request.form.get("theme", "auto")
    return _keep(_back(), THEME_COOKIE, chosen if chosen in THEMES else "auto")


@pages.post("/preferences/language")
@public
def choose_language() -> Response:
    """Keep the language in a cookie, and with the account for its other browsers."""
    chosen = request.form.get("language", "en")
    chosen = chosen if chosen in LANGUAGES else "en"
    principal = maybe_principal()
    if principal is not None and principal.account_id is not None:
        with services().database.write() as connection:
            accounts.set_locale(connection, principal.account_id, chosen)
    return _keep(_back(), COOKIE, chosen)
