"""The session of a browser: the cookie that is set, renewed and taken away.

The one promise: a session's secret is new at each sign-in, and leaves the browser only for this site.
"""

from dataclasses import dataclass
from typing import Final

from flask import Response, request

from metaconsole.auth import sign_in as auth
from metaconsole.store.accounts import SESSION_HOURS
from metaconsole.web.offload import offload
from metaconsole.web.security import COOKIE, maybe_principal
from metaconsole.web.services import services

_SECONDS: Final = SESSION_HOURS * 3600


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new session: whose it is, and the secret for the cookie."""

    principal_name: str
    secret: str


def sign_in(name: str, password: str) -> SignedIn:
    """Check a name and a password and begin a session; raises SignInRefusedError, BusyError."""
    secret = auth.with_password(services().database, name, password, request.remote_addr or "", offload)
    end_present()
    return SignedIn(name, secret)


def start(response: Response, secret: str) -> Response:
    """Give the browser the session."""
    response.set_cookie(
        COOKIE, secret, max_age=_SECONDS, httponly=True, samesite="Lax", secure=request.is_secure, path="/"
    )
    return response


def sign_out(response: Response) -> Response:
    """End the session and take the cookie away."""
    end_present()
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="Lax", secure=request.is_secure)
    return response


def end_present() -> None:
    """End the session that the request came with, if any: a sign-in replaces it."""
    principal = maybe_principal()
    if principal is not None and principal.account_id is not None:
        auth.sign_out(services().database, request.cookies[COOKIE], principal.name, request.remote_addr or "")
