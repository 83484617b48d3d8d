"""Who is asking, and what every request and every answer has to satisfy.

The one promise: a view is closed unless it is marked; a marked one is reached only with the right that it names, and
nothing is changed on behalf of a browser that did not mean it.
"""

import ipaddress
import logging
import re
import secrets as random
from collections.abc import Callable
from typing import Any, Final, TypeVar, overload
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, g, request

from metaconsole.auth import secrets, sign_in
from metaconsole.auth.principal import Principal
from metaconsole.web.errors import Problem
from metaconsole.web.services import services

_View = TypeVar("_View", bound=Callable[..., Any])
_log: Final = logging.getLogger(__name__)

COOKIE: Final = "nephoscope_session"
CSRF_HEADER: Final = "X-CSRF-Token"
CSRF_FIELD: Final = "csrf_token"
BODY_BYTES: Final = 1024 * 1024
_ACCESS: Final = "nephoscope_access"
_PUBLIC: Final = "public"
_ENTRANCE: Final = "entrance"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def public(view: _View) -> _View:
    """Mark a view that anybody may reach."""
    setattr(view, _ACCESS, _PUBLIC)
    return view


def entrance(view: _View) -> _View:
    """Mark a public view that signs in: whoever posts there need not hold a session, nor its CSRF token."""
    setattr(view, _ACCESS, _ENTRANCE)
    return view


@overload
def signed_in(right: _View) -> _View: ...
@overload
def signed_in(right: str = "read") -> Callable[[_View], _View]: ...
def signed_in(right: Any = "read") -> Any:
    """Mark a view that needs a right: read, write, admin or audit."""
    if callable(right):
        setattr(right, _ACCESS, "read")
        return right

    def mark(view: _View) -> _View:
        setattr(view, _ACCESS, right)
        return view

    return mark


def maybe_principal() -> Principal | None:
    """Return who is asking, or None; looked up once a request."""
    if "principal" not in g:
        g.principal = _find_principal()
    found: Principal | None = g.principal
    return found


def current_principal() -> Principal:
    """Return who is asking; raises Problem 401."""
    principal = maybe_principal()
    if principal is None:
        raise Problem(401, "Sign in, or send a token: Authorization: Bearer nsk_…", {"WWW-Authenticate": "Bearer"})
    return principal


def install(app: Flask) -> None:
    """Check every request of the application and harden every answer."""
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES
    app.before_request(_begin)
    app.before_request(_check_host)
    app.before_request(_check_access)
    app.after_request(_harden)


def is_loopback(address: str | None) -> bool:
    """Return whether a request came from this machine, and not through a proxy on it."""
    if any(name in request.headers for name in ("X-Forwarded-For", "Forwarded")):
        return False
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False


def _begin() -> None:
    g.request_id = random.token_hex(8)


def _check_host() -> None:
    # A page of another name that resolves to 127.0.0.1 must not reach a metaconsole that listens there only.
    host = re.sub(r":\d{1,5}$", "", request.host)
    if not _HOST.fullmatch(host):
        raise Problem(400, "The Host header is not the name of a host.")
    if _is_local(services().settings.http_host) and not _is_local(host.strip("[]")):
        raise Problem(421, "This metaconsole serves this machine only; start it with --http-host to serve others.")


def _is_local(host: str) -> bool:
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_access() -> None:
    if request.endpoint is None:
        return  # no view: it will be answered with 404 or 405
    access = _access_of(request.endpoint)
    if request.method not in _SAFE:
        _check_same_site()
        if access != _ENTRANCE:
            _check_csrf()
    if access in (_PUBLIC, _ENTRANCE):
        return
    principal = current_principal()
    if access is None or not principal.may(access):
        raise Problem(403, f"This needs the right to {access or 'do what nobody may'}, which you don't have.")


def _access_of(endpoint: str) -> str | None:
    if endpoint in ("static", "openapi.spec") or endpoint.endswith(".static"):
        return _PUBLIC
    access: str | None = getattr(current_app.view_functions.get(endpoint), _ACCESS, None)
    return access


def _check_same_site() -> None:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise Problem(403, "This request was sent by a page of another site.")
        return
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc.lower() != request.host.lower():
        raise Problem(403, "This request was sent by a page of another site.")


def _check_csrf() -> None:
    principal = maybe_principal()
    if principal is None or principal.token_id is not None:
        return
    given = request.headers.get(CSRF_HEADER) or request.form.get(CSRF_FIELD, "")
    if not secrets.same(given, principal.csrf):
        raise Problem(403, f"The header {CSRF_HEADER} or the field {CSRF_FIELD} of your session is missing or wrong.")


def _find_principal() -> Principal | None:
    database = services().database
    header = request.headers.get("Authorization")
    if header is not None:
        # Whoever sends a token means it: a wrong one is not made good by a cookie.
        scheme, _, token = header.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token.startswith(secrets.TOKEN_PREFIX) or len(token) > 200:
            return None
        return sign_in.by_token(database, token)
    cookie = request.cookies.get(COOKIE, "")
    return sign_in.by_session(database, cookie) if 0 < len(cookie) <= 200 else None


def _harden(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["X-Request-Id"] = g.get("request_id", "")
    if _access_of(request.endpoint or "") != _PUBLIC or response.status_code >= 400:
        response.headers.setdefault("Cache-Control", "no-store")
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return response
