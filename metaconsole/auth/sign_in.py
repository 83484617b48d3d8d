"""Signing in with a password, a one-time link or a token, and finding out who holds a session.

The one promise: the answer to a wrong name and to a wrong password is the same, and guessing gets slower with every
failure, per name and per address, however many requests come at once.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from metaconsole.addresses import network_of
from metaconsole.auth import secrets
from metaconsole.auth.accounts import PASSWORD_MOST
from metaconsole.auth.principal import Principal, scopes_of_roles, scopes_of_token
from metaconsole.store import accounts as store
from metaconsole.store import audit
from metaconsole.store.accounts import Failures
from metaconsole.store.pool import Database, StoreFullError

_FREE_BY_NAME: Final = 4  # failures before the next attempt has to wait
_FREE_BY_ADDRESS: Final = 20
_FIRST_WAIT: Final = 5.0  # seconds, doubled by each further failure
_LONGEST_WAIT: Final = 300.0
_NAME_LENGTH: Final = 127
_log: Final = logging.getLogger(__name__)


class SignInRefusedError(Exception):
    """Not signed in. retry_after is in seconds, 0 when the next attempt may come at once."""

    def __init__(self, message: str, retry_after: int = 0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def with_password(database: Database, name: str, password: str, address: str, compute: secrets.Compute) -> str:
    """Sign in and return the secret of a new session; raises SignInRefusedError and secrets.BusyError."""
    name, address = name.replace("\0", "")[:_NAME_LENGTH], network_of(address)
    _admit(database, name, address)
    with database.read() as connection:
        account = store.find_account(connection, name)
    usable = account is not None and not account.disabled
    password_hash = account.password_hash if account is not None and usable else None
    # Hashed outside any transaction; longer texts are no passwords and would only cost time.
    good = secrets.is_password(password_hash, password[: PASSWORD_MOST + 1], compute)
    if account is None or not good:
        with database.write() as connection:
            audit.append(connection, audit.Entry(name, "sign_in.failure", name, address))
        raise SignInRefusedError("The name or the password is wrong.")
    with database.write() as connection:
        store.forget_attempt(connection, name, address)
        store.record_attempt(connection, name, address, succeeded=True)
        audit.append(connection, audit.Entry(account.name, "sign_in", account.name, address, {"by": "password"}))
        secret = secrets.new_secret()
        store.create_session(connection, account.account_id, secrets.digest(secret))
    return secret


def with_link(database: Database, link: str, address: str) -> str:
    """Use a one-time link up and return the secret of a new session; raises SignInRefusedError."""
    address = network_of(address)
    with database.write() as connection:
        found = store.consume_link(connection, secrets.digest(link))
        if found is None:
            raise SignInRefusedError("This sign-in link was used already, or is too old. Ask for a new one.")
        account_id, name = found
        audit.append(connection, audit.Entry(name, "sign_in", name, address, {"by": "link"}))
        secret = secrets.new_secret()
        store.create_session(connection, account_id, secrets.digest(secret))
    return secret


def sign_out(database: Database, secret: str, name: str, address: str) -> None:
    """End the session of this secret."""
    with database.write() as connection:
        store.end_session(connection, secrets.digest(secret))
        audit.append(connection, audit.Entry(name, "sign_out", name, network_of(address)))


def by_session(database: Database, secret: str) -> Principal | None:
    """Return who holds the session, or None when it is over."""
    token_hash = secrets.digest(secret)
    with database.read() as connection:
        session = store.find_session(connection, token_hash)
    if session is None:
        return None
    if session.is_idle:
        with _note_of_use(), database.write() as connection:
            store.touch_session(connection, token_hash)
    scopes = scopes_of_roles((role, site_id) for role, site_id in session.roles)
    return Principal(session.name, scopes, secrets.csrf_of(secret), session.locale, account_id=session.account_id)


def by_token(database: Database, secret: str) -> Principal | None:
    """Return the program that holds the token, or None when it is not valid."""
    with database.read() as connection:
        token = store.find_token(connection, secrets.digest(secret))
    if token is None:
        return None
    if token.is_idle:
        with _note_of_use(), database.write() as connection:
            store.touch_token(connection, token.token_id)
    return Principal(f"token {token.name}", scopes_of_token(token.scope), token_id=token.token_id)


@contextmanager
def _note_of_use() -> Iterator[None]:
    """Do without the note that a session or a token was used where the disk is full: what is stored can be read."""
    try:
        yield
    except StoreFullError as error:
        _log.warning("when a session or a token was used last is not noted: %s", error)


def wait_of(failures: Failures, free: int) -> float:
    """Return how many seconds the next attempt has to wait, after so many failures."""
    if failures.count <= free:
        return 0.0
    delay = min(_FIRST_WAIT * 2.0 ** min(failures.count - free - 1, 20), _LONGEST_WAIT)
    return max(0.0, delay - failures.age)


def _admit(database: Database, name: str, address: str) -> None:
    # The attempt counts as a failure before it is known to be one: a thousand at once can't all pass the check.
    with database.write() as connection:
        store.lock_attempts(connection, f"name {name}")
        store.lock_attempts(connection, f"address {address}")
        wait = max(
            wait_of(store.failures_by_name(connection, name), _FREE_BY_NAME),
            wait_of(store.failures_by_address(connection, address), _FREE_BY_ADDRESS),
        )
        if wait <= 0:
            store.record_attempt(connection, name, address, succeeded=False)
    if wait > 0:
        seconds = int(wait) + 1
        raise SignInRefusedError(f"Too many failed attempts. Try again in {seconds} s.", seconds)
