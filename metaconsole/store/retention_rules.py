"""How long what is kept: rules of a tier, for all sites or one, for all metrics, a class or one.

The one promise: exactly one rule decides about a row, the narrowest; a piece of a table stays as long as any rule that
could apply to one of its rows wants it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from shared.catalogue import MetricKind, catalogue

Tier: TypeAlias = Literal["log", "raw", "rollup", "event", "gap", "quarantine", "inventory"]
TIERS: Final[tuple[Tier, ...]] = get_args(Tier)
BY_METRIC: Final[frozenset[Tier]] = frozenset({"raw", "rollup"})
CLASSES: Final[tuple[str, ...]] = get_args(MetricKind)


@dataclass(frozen=True, slots=True)
class Rule:
    """site_id None: every site. metrics None: every one, else a class or the name of one."""

    tier: Tier
    site_id: int | None
    metrics: str | None
    days: int


@dataclass(frozen=True, slots=True)
class Share:
    """What of a site's rows goes earlier than the pieces of its table: those of some metrics."""

    site_id: int
    metric_ids: tuple[int, ...]
    days: int


class Rules:
    """All rules. Every tier has one for every site and metric, which the first migration of the table wrote."""

    def __init__(self, rules: list[Rule]) -> None:
        self._days = {(rule.tier, rule.site_id, rule.metrics): rule.days for rule in rules}

    def longest(self, tier: Tier) -> int:
        """Return the days after which no rule of the tier wants anything any more."""
        return max(days for (of, _, _), days in self._days.items() if of == tier)

    def longest_of_site(self, tier: Tier, site_id: int) -> int:
        """Return the days after which no rule of the tier wants anything of a site any more, whatever the metric."""
        return max(self.days(tier, site_id, metric) for metric in catalogue())

    def days(self, tier: Tier, site_id: int, metric: str | None = None) -> int:
        """Return for how many days rows of a site, and of a metric, are kept."""
        known = catalogue().get(metric or "")
        kind = known.kind if known else None
        for site in (site_id, None):
            for metrics in (metric, kind, None):
                if (found := self._days.get((tier, site, metrics))) is not None:
                    return found
        raise ValueError(f"there is no rule for how long {tier} is kept: set one for all sites and metrics")

    def shorter(self, tier: Tier, site_id: int, metrics: Mapping[str, int]) -> list[Share]:
        """Return what of a site goes before the pieces of the table do; metrics are ids by name."""
        longest = self.longest(tier)
        grouped: dict[int, list[int]] = {}
        for name, metric_id in metrics.items():
            grouped.setdefault(self.days(tier, site_id, name), []).append(metric_id)
        return [Share(site_id, tuple(ids), days) for days, ids in sorted(grouped.items()) if days < longest]
