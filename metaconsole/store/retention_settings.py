"""Showing and changing the rules of retention.

The one promise: a change is on the audit trail in the same transaction, and every tier keeps a rule for everything.
"""

from dataclasses import dataclass
from typing import Final, get_args

from metaconsole.store import audit
from metaconsole.store.database import Connection
from metaconsole.store.retention_rules import BY_METRIC, CLASSES, TIERS, Tier
from metaconsole.store.sql import statements
from shared.catalogue import catalogue

MOST_DAYS: Final = 36_500
_SQL: Final = statements("retention")


class RetentionError(ValueError):
    """A rule that can't be; the sentence says why and what to do."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A rule as people name it: site None is every site, metrics None is every metric."""

    tier: str
    site: str | None
    metrics: str | None
    days: int


def settings(connection: Connection) -> list[Setting]:
    """Return all rules, the wider before the narrower."""
    return [Setting(*row) for row in connection.execute(_SQL["list_rules"]).fetchall()]


def change(
    connection: Connection, actor: str, tier: str, site: str | None, metrics: str | None, days: int | None
) -> None:
    """Set a rule, or forget a narrower one with days None; raises RetentionError. The caller commits."""
    _check(tier, site, metrics, days)
    rule = {"tier": tier, "site_id": _find_site(connection, site), "metrics": metrics, "days": days}
    if days is not None:
        connection.execute(_SQL["set_rule"], rule)
    elif not connection.execute(_SQL["forget_rule"], rule).rowcount:
        raise RetentionError("there is no such rule: see `nephoscope metaconsole db retention show`")
    detail = {"site": site, "metrics": metrics, "days": days}
    audit.append(connection, audit.Entry(actor, "retention.set", tier, detail=detail))


def _check(tier: str, site: str | None, metrics: str | None, days: int | None) -> None:
    if tier not in TIERS:
        raise RetentionError(f"there is no tier {tier!r}; tiers are {', '.join(get_args(Tier))}")
    if tier == "log" and site is not None:
        raise RetentionError("the log has one rule for all sites: its pieces hold all of them")
    if metrics is not None and tier not in BY_METRIC:
        raise RetentionError(f"a rule for metrics is for raw or rollup, not for {tier}")
    if metrics is not None and metrics not in CLASSES and metrics not in catalogue():
        raise RetentionError(f"{metrics!r} is no metric of the catalogue and none of {', '.join(CLASSES)}")
    if days is None and site is None and metrics is None:
        raise RetentionError(f"{tier} needs a rule for everything: set it to other days instead")
    if days is not None and not 1 <= days <= MOST_DAYS:
        raise RetentionError(f"days are 1 to {MOST_DAYS}")


def _find_site(connection: Connection, site: str | None) -> int | None:
    if site is None:
        return None
    row = connection.execute(_SQL["find_site"], {"name": site}).fetchone()
    if row is None:
        raise RetentionError(f"there is no site {site!r}")
    return int(row[0])
