"""Join tokens that nobody used yet: who administers a site sees them, and withdraws what is not needed.

The one promise: what is told of a token does not let anybody join.
"""

from dataclasses import dataclass
from typing import Final

from psycopg.rows import class_row

from metaconsole.store import audit
from metaconsole.store.database import Connection
from metaconsole.store.enrolment import EnrolmentError
from metaconsole.store.scope import Scope
from metaconsole.store.sql import statements

_SQL: Final = statements("enrolment")


@dataclass(frozen=True, slots=True)
class OpenToken:
    """A token that is still good; id begins as logs and the audit trail have it, times are UTC milliseconds."""

    site_id: int
    id: str
    site: str
    satellite: str
    takes_back: bool
    created_by: str
    created: int
    expires: int


def open_tokens(connection: Connection, scope: Scope) -> list[OpenToken]:
    """Return the tokens that are still good, by site, the newest first."""
    with connection.cursor(row_factory=class_row(OpenToken)) as rows:
        return rows.execute(_SQL["open_tokens"], {"sites": scope.parameter}).fetchall()


def withdraw(connection: Connection, actor: audit.Actor, token_id: str, scope: Scope) -> None:
    """Let nobody join with a token any more; raises EnrolmentError for one that is not there, or no longer good."""
    found = next((one for one in open_tokens(connection, scope) if one.id == token_id), None)
    values = {"site_id": found.site_id if found else 0, "token_id": token_id}
    if found is None or not connection.execute(_SQL["withdraw_token"], values).rowcount:
        raise EnrolmentError("there is no such token that is still good")
    detail = {"token": found.id[:8]}
    audit.append(connection, actor.entry("satellite.token_withdrawn", f"{found.site}/{found.satellite}", detail))
