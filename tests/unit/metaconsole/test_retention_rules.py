"""Which rule decides about how long something is kept."""

import pytest

from metaconsole.store.retention_rules import Rule, Rules, Share

DEFAULTS = [Rule("raw", None, None, 400), Rule("rollup", None, None, 1100), Rule("event", None, None, 30)]
CPU, RESETS, STATE = "system.cpu.utilization", "system.network.io", "resource.state"
METRICS = {CPU: 1, RESETS: 2, STATE: 3, "gone.from.catalogue": 4}


def test_the_narrowest_rule_decides_the_site_first() -> None:
    rules = Rules(
        [
            *DEFAULTS,
            Rule("raw", None, "gauge", 100),
            Rule("raw", None, CPU, 50),
            Rule("raw", 7, None, 200),
            Rule("raw", 7, "state", 20),
        ]
    )
    assert [rules.days("raw", 1, metric) for metric in METRICS] == [50, 400, 400, 400]
    assert [rules.days("raw", 7, metric) for metric in METRICS] == [200, 200, 20, 200]
    assert rules.days("rollup", 7, CPU) == 1100
    assert rules.days("event", 7) == 30


def test_of_a_site_the_longest_rule_of_any_metric_counts() -> None:
    narrower = [Rule("raw", None, None, 90), Rule("raw", None, RESETS, 800), Rule("raw", 7, None, 30)]
    rules = Rules([*narrower, Rule("raw", 8, None, 30), Rule("raw", 8, CPU, 45), Rule("rollup", 7, None, 999)])
    assert [rules.longest_of_site("raw", site) for site in (1, 7, 8)] == [800, 30, 45]


def test_pieces_stay_as_long_as_any_rule_wants_and_the_rest_goes_before() -> None:
    rules = Rules([*DEFAULTS, Rule("raw", None, "counter", 800), Rule("raw", 7, CPU, 10)])
    assert rules.longest("raw") == 800
    assert rules.shorter("raw", 1, METRICS) == [Share(1, (1, 3, 4), 400)]
    assert rules.shorter("raw", 7, METRICS) == [Share(7, (1,), 10), Share(7, (3, 4), 400)]
    assert rules.shorter("rollup", 7, METRICS) == []


def test_a_tier_without_a_rule_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="no rule for how long raw is kept"):
        Rules([]).days("raw", 1)
