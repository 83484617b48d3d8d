"""Creating accounts, one-time links and tokens: what the command line and `up` call.

The one promise: each of these is on the audit trail in the same transaction, or it did not happen.
"""

import re
from typing import Final

from metaconsole.auth import secrets
from metaconsole.auth.principal import ROLES, TOKEN_SCOPES
from metaconsole.store import accounts as store
from metaconsole.store import audit
from metaconsole.store.database import Connection
from metaconsole.store.pool import StoreUnavailableError, connect

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,126}")
_COMMAND: Final = "command line"
PASSWORD_LEAST: Final = 12
PASSWORD_MOST: Final = 1000


class AccountError(Exception):
    """An account, link or token that can't be made; the sentence says why and what to do."""


def create_account(url: str, name: str, password: str | None, role: str, sites: tuple[str, ...] = ()) -> None:
    """Create an account with a role on all sites, or on those named; raises AccountError.

    Without a password only a one-time link opens it.
    """
    _check_name(name, "an account")
    if role not in ROLES:
        raise AccountError(f"there is no role {role!r}; roles are {', '.join(ROLES)}")
    if password is not None:
        check_password(password)
    hashed = None if password is None else secrets.hash_password(password)
    try:
        with connect(url) as connection:
            _create_account(connection, name, hashed, role, sites)
    except StoreUnavailableError as error:
        raise AccountError(str(error)) from error


def create_sign_in_link(url: str, name: str, minutes: int = 10) -> str:
    """Return the secret of a link, /sign-in/link/SECRET, that signs the account in once; raises AccountError."""
    secret = secrets.new_secret()
    try:
        with connect(url) as connection:
            account = store.find_account(connection, name)
            if account is None or account.disabled:
                raise AccountError(f"there is no account {name!r} that may sign in")
            store.create_link(connection, account.account_id, secrets.digest(secret), minutes)
            audit.append(connection, audit.Entry(_COMMAND, "link.create", name, detail={"minutes": minutes}))
    except StoreUnavailableError as error:
        raise AccountError(str(error)) from error
    return secret


def create_token(url: str, name: str, scope: str) -> str:
    """Return the secret of a new token of the API, which is not kept anywhere; raises AccountError."""
    _check_name(name, "a token")
    if scope not in TOKEN_SCOPES:
        raise AccountError(f"there is no scope {scope!r}; scopes are {', '.join(TOKEN_SCOPES)}")
    secret = secrets.new_token()
    try:
        with connect(url) as connection:
            if store.create_token(connection, name, secrets.digest(secret), scope) is None:
                raise AccountError(f"there is a token named {name!r} already; choose another name")
            audit.append(connection, audit.Entry(_COMMAND, "token.create", name, detail={"scope": scope}))
    except StoreUnavailableError as error:
        raise AccountError(str(error)) from error
    return secret


def verify_audit(url: str) -> tuple[int, str]:
    """Return the length and the last hash of the audit trail; raises AuditError, AccountError."""
    try:
        with connect(url) as connection:
            return audit.verify(connection)
    except StoreUnavailableError as error:
        raise AccountError(str(error)) from error


def check_password(password: str) -> None:
    """Raise AccountError for a password that is too short or too long to be one."""
    if not PASSWORD_LEAST <= len(password) <= PASSWORD_MOST:
        raise AccountError(f"a password has {PASSWORD_LEAST} to {PASSWORD_MOST} characters")


def _create_account(
    connection: Connection, name: str, password_hash: str | None, role: str, sites: tuple[str, ...]
) -> None:
    account_id = store.create_account(connection, name, password_hash)
    if account_id is None:
        raise AccountError(f"there is an account named {name!r} already")
    for site in sites:
        site_id = store.site_id_of(connection, site)
        if site_id is None:
            raise AccountError(f"there is no site {site!r}")
        store.bind_role(connection, account_id, role, site_id)
    if not sites:
        store.bind_role(connection, account_id, role, None)
    audit.append(connection, audit.Entry(_COMMAND, "account.create", name, detail={"role": role, "sites": list(sites)}))


def _check_name(name: str, what: str) -> None:
    if not _NAME.fullmatch(name):
        raise AccountError(
            f"{name[:80]!r} can't name {what}: use 1 to 127 letters, digits and . _ @ -, beginning with no mark"
        )
