"""What an administrator sets for a site: its budget of backfill, and how many series and resources it may have.

The one promise: each change is on the audit trail in the same transaction.
"""

import re
from typing import Any, Final

from metaconsole.store import audit
from metaconsole.store.budgets import Budget
from metaconsole.store.database import Connection
from metaconsole.store.quota import MOST, Rooms
from metaconsole.store.scope import EVERYTHING, Scope
from metaconsole.store.sql import statements

MOST_KBIT: Final = 100_000_000
_HOURS: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_SQL: Final = statements("site_settings")


class UnknownSiteError(LookupError):
    """There is no such site within the scope."""


def parse_hours(text: str) -> tuple[int, int]:
    """Return the minutes of the day of `22:00-06:00`, or of nothing for all day; raises ValueError."""
    if not text.strip():
        return 0, 0
    match = _HOURS.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text[:40]!r} are no hours: write them as 22:00-06:00, in UTC, or nothing for all day")
    begin_hour, begin_minute, end_hour, end_minute = map(int, match.groups())
    return begin_hour * 60 + begin_minute, end_hour * 60 + end_minute


def hours_text(budget: Budget) -> str:
    """Return the hours as parse_hours reads them."""
    if budget.from_minute == budget.to_minute:
        return ""
    return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in (budget.from_minute, budget.to_minute))


def find_budget(connection: Connection, site: str, scope: Scope = EVERYTHING) -> Budget:
    """Return a site's budget of backfill; raises UnknownSiteError."""
    return Budget(*_find(connection, site, scope)[1:])


def set_budget(
    connection: Connection, site: str, budget: Budget, actor: str, address: str = "", scope: Scope = EVERYTHING
) -> None:
    """Set a site's budget of backfill; raises UnknownSiteError, ValueError."""
    if not 0 <= budget.kbit <= MOST_KBIT:
        raise ValueError(f"a budget has 0 (no limit) to {MOST_KBIT} kbit/s, not {budget.kbit}")
    site_id = _find(connection, site, scope)[0]
    values = {"kbit": budget.kbit, "from_minute": budget.from_minute, "to_minute": budget.to_minute}
    connection.execute(_SQL["set_budget"], {"site_id": site_id, **values})
    detail = {"kbit": budget.kbit, "hours": hours_text(budget)}
    audit.append(connection, audit.Entry(actor, "site.backfill", site, address, detail))


def find_rooms(connection: Connection, site: str, scope: Scope = EVERYTHING) -> Rooms:
    """Return how many series and resources a site may have, and has; raises UnknownSiteError."""
    return Rooms.of(connection.execute(_SQL["rooms"], {"site_id": _find(connection, site, scope)[0]}).fetchone())


def set_quotas(
    connection: Connection,
    site: str,
    actor: str,
    address: str = "",
    scope: Scope = EVERYTHING,
    *,
    series: int | None = None,
    resources: int | None = None,
) -> None:
    """Set how many series and resources a site may have, None as before; raises UnknownSiteError, ValueError."""
    given = {name: quota for name, quota in (("series", series), ("resources", resources)) if quota is not None}
    for name, quota in given.items():
        if not 0 <= quota <= MOST:
            raise ValueError(f"a site may have 0 to {MOST} {name}, not {quota}")
    found = find_rooms(connection, site, scope)
    quotas = {"series": found.series.quota, "resources": found.resources.quota} | given
    connection.execute(_SQL["set_quotas"], {"site_id": _find(connection, site, scope)[0], **quotas})
    audit.append(connection, audit.Entry(actor, "site.quotas", site, address, given))


def _find(connection: Connection, site: str, scope: Scope) -> tuple[Any, ...]:
    row = connection.execute(_SQL["budget"], {"name": site, "sites": scope.parameter}).fetchone()
    if row is None:
        raise UnknownSiteError(f"there is no site {site[:80]!r}")
    return row
