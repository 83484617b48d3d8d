"""The figures to reach (DESIGN §9): every key that bench.json holds, with its unit and its goal.

A key without a measurement of its own yet says what it comes with; it is null in bench.json, never left out.
"""

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Goal:
    """One key of bench.json: the unit of its value, and which side of the bound is good."""

    key: str
    unit: str
    sense: Literal[">=", "<="]
    bound: float
    comes_with: str = ""

    @property
    def group(self) -> str:
        """The part of the key before the dot, as `make bench ONLY=` names it."""
        return self.key.partition(".")[0]

    def met(self, value: float) -> bool:
        """Tell whether a value reaches the goal."""
        return value >= self.bound if self.sense == ">=" else value <= self.bound


_QUERY: Final = "comes with the engine issue: the year and the million series need chunks"

GOALS: Final = (
    Goal("ingest.samples_per_s", "samples/s", ">=", 10_000_000),
    Goal("ingest.ratio_to_copy_indexed", "ratio", ">=", 20),
    Goal("ingest.ratio_to_victoriametrics", "ratio", ">=", 3),
    Goal("ingest.ratio_to_zabbix", "ratio", ">=", 100),
    Goal("ingest.cpu_s_per_million", "s", "<=", 0.10),
    Goal("readers.cpu_s_per_million", "s", "<=", 0.10),
    Goal("storage.bytes_per_sample", "B", "<=", 1.7),
    Goal("storage.rollup_bytes_per_sample", "B", "<=", 0.2),
    Goal("storage.wal_bytes_per_sample", "B", "<=", 8),
    Goal("gateway.sessions", "sessions", ">=", 5_000),
    Goal("gateway.ack_p99_ms", "ms", "<=", 1_000),
    Goal("gateway.kib_per_session", "KiB", "<=", 150),
    Goal("query.series_24h_p95_ms", "ms", "<=", 10, _QUERY),
    Goal("query.series100_24h_p95_ms", "ms", "<=", 60, _QUERY),
    Goal("query.series_1y_p95_ms", "ms", "<=", 20, _QUERY),
    Goal("query.site_10k_p95_ms", "ms", "<=", 150, _QUERY),
    Goal("query.top20_1m_p95_ms", "ms", "<=", 500, _QUERY),
    Goal("alerts.latency_p95_s", "s", "<=", 2, "comes with the alerting issue"),
    Goal("vsphere.first_s", "s", "<=", 120),
    Goal("vsphere.cycle_s", "s", "<=", 30),
    Goal("vsphere.calls", "calls", "<=", 100),
    Goal("snmp.values_per_s", "values/s", ">=", 100_000, "comes with the SNMP issue"),
    Goal("satellite.core_percent", "%", "<=", 5, "comes with the uplink issue"),
    Goal("satellite.rss_mib", "MiB", "<=", 150, "comes with the uplink issue"),
    Goal("uplink.live_after_reconnect_s", "s", "<=", 5, "comes with the uplink issue"),
)
