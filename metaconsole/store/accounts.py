"""Accounts, sessions, one-time links, tokens and the record of sign-in attempts.

The one promise: secrets are given and kept as SHA-256 only; who reads this database can't sign in with what it holds.
"""

from dataclasses import dataclass
from typing import Any, Final

from psycopg.rows import class_row

from metaconsole.store.database import Connection
from metaconsole.store.sql import statements

_SQL: Final = statements("accounts")
SESSION_HOURS: Final = 7 * 24
IDLE_HOURS: Final = 12


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may sign in; password_hash is None where only a one-time link opens the door."""

    account_id: int
    name: str
    password_hash: str | None
    locale: str
    disabled: bool


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is valid now; roles are pairs of a role and a site's id, or None for all sites."""

    account_id: int
    name: str
    locale: str
    is_idle: bool
    roles: list[list[Any]]


@dataclass(frozen=True, slots=True)
class Token:
    """A token of the API that is valid now."""

    token_id: int
    name: str
    scope: str
    is_idle: bool


def create_account(connection: Connection, name: str, password_hash: str | None) -> int | None:
    """Create an account and return its id, or None when the name is taken."""
    values = {"name": name, "password_hash": password_hash}
    row = connection.execute(_SQL["create_account"], values).fetchone()
    return None if row is None else int(row[0])


def bind_role(connection: Connection, account_id: int, role: str, site_id: int | None) -> None:
    """Give an account a role on a site, or on all sites with None."""
    connection.execute(_SQL["bind_role"], {"account_id": account_id, "role": role, "site_id": site_id})


def site_id_of(connection: Connection, name: str) -> int | None:
    """Return the id of a site, or None when there is none of that name."""
    row = connection.execute(_SQL["site_by_name"], {"name": name}).fetchone()
    return None if row is None else int(row[0])


def find_account(connection: Connection, name: str) -> Account | None:
    """Return the account of that name."""
    with connection.cursor(row_factory=class_row(Account)) as rows:
        return rows.execute(_SQL["account_by_name"], {"name": name}).fetchone()


def set_password_hash(connection: Connection, account_id: int, password_hash: str) -> None:
    """Replace the hash of an account's password."""
    connection.execute(_SQL["set_password_hash"], {"account_id": account_id, "password_hash": password_hash})


def set_locale(connection: Connection, account_id: int, locale: str) -> None:
    """Set the language of an account; empty follows the browser."""
    connection.execute(_SQL["set_locale"], {"account_id": account_id, "locale": locale})


def create_link(connection: Connection, account_id: int, token_hash: bytes, minutes: int) -> None:
    """Store a one-time link, and forget the old ones."""
    connection.execute(_SQL["forget_links"])
    values = {"account_id": account_id, "token_hash": token_hash, "minutes": minutes}
    connection.execute(_SQL["create_link"], values)


def consume_link(connection: Connection, token_hash: bytes) -> tuple[int, str] | None:
    """Use a one-time link up and return the account's id and name; None when it was used, is too old or unknown."""
    row = connection.execute(_SQL["consume_link"], {"token_hash": token_hash}).fetchone()
    return None if row is None else (int(row[0]), str(row[1]))


def create_session(connection: Connection, account_id: int, token_hash: bytes) -> None:
    """Store a session, and forget those that ended."""
    connection.execute(_SQL["forget_sessions"], {"idle_hours": IDLE_HOURS})
    values = {"token_hash": token_hash, "account_id": account_id, "hours": SESSION_HOURS}
    connection.execute(_SQL["create_session"], values)


def find_session(connection: Connection, token_hash: bytes) -> Session | None:
    """Return the session if it is valid."""
    with connection.cursor(row_factory=class_row(Session)) as rows:
        return rows.execute(_SQL["find_session"], {"token_hash": token_hash, "idle_hours": IDLE_HOURS}).fetchone()


def touch_session(connection: Connection, token_hash: bytes) -> None:
    """Note that the session is being used."""
    connection.execute(_SQL["touch_session"], {"token_hash": token_hash})


def end_session(connection: Connection, token_hash: bytes) -> None:
    """End a session at once."""
    connection.execute(_SQL["end_session"], {"token_hash": token_hash})


def create_token(connection: Connection, name: str, token_hash: bytes, scope: str) -> int | None:
    """Create a token and return its id, or None when the name is taken."""
    row = connection.execute(_SQL["create_token"], {"name": name, "token_hash": token_hash, "scope": scope}).fetchone()
    return None if row is None else int(row[0])


def find_token(connection: Connection, token_hash: bytes) -> Token | None:
    """Return the token if it is valid."""
    with connection.cursor(row_factory=class_row(Token)) as rows:
        return rows.execute(_SQL["find_token"], {"token_hash": token_hash}).fetchone()


def touch_token(connection: Connection, token_id: int) -> None:
    """Note that the token is being used."""
    connection.execute(_SQL["touch_token"], {"token_id": token_id})


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed sign-ins of the past hour, and how many seconds ago the last of them was."""

    count: int
    age: float


def lock_attempts(connection: Connection, key: str) -> None:
    """Let sign-ins of one name, or from one address, take turns until the transaction ends."""
    connection.execute(_SQL["lock_attempts"], {"key": key})


def failures_by_name(connection: Connection, name: str) -> Failures:
    """Return the failures of a name since it last succeeded."""
    return _failures(connection.execute(_SQL["failures_by_name"], {"name": name}).fetchone())


def failures_by_address(connection: Connection, address: str) -> Failures:
    """Return the failures from an address."""
    return _failures(connection.execute(_SQL["failures_by_address"], {"address": address}).fetchone())


def record_attempt(connection: Connection, name: str, address: str, *, succeeded: bool) -> None:
    """Record an attempt, and forget those of yesterday."""
    connection.execute(_SQL["forget_old_attempts"])
    connection.execute(_SQL["record_attempt"], {"name": name, "address": address, "succeeded": succeeded})


def forget_attempt(connection: Connection, name: str, address: str) -> None:
    """Take the newest failure of a name and address back: it turned out to be none."""
    connection.execute(_SQL["forget_attempt"], {"name": name, "address": address})


def _failures(row: tuple[Any, ...] | None) -> Failures:
    assert row is not None
    return Failures(int(row[0]), float(row[1]))
