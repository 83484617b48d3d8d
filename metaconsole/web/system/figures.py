"""The metaconsole's own figures, read from the database at each scrape.

The one promise: every worker gives the same answer, because none of them counts for itself.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from metaconsole.store import overview, stats
from metaconsole.store.database import Connection
from metaconsole.store.overview import SatelliteRow
from metaconsole.store.quota import Rooms
from metaconsole.store.scope import EVERYTHING
from metaconsole.store.stats import Sizes
from metaconsole.store.stats_forecast import Forecast, forecast
from metaconsole.web.heartbeat import integer
from shared import __version__

_LABELS: Final = ("site", "satellite")


class Figures(Collector):
    """Collects once, within the life of a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def describe(self) -> list[Metric]:
        """Tell nothing ahead: it would cost the same queries."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the figures."""
        build = GaugeMetricFamily("nephoscope_build", "The version that runs; always 1.", labels=("version",))
        build.add_metric((__version__,), 1)
        yield build
        counted = overview.figures(self._connection)
        yield GaugeMetricFamily("nephoscope_resources", "Resources that are there now.", counted["resources"])
        yield GaugeMetricFamily("nephoscope_series", "Series in the dictionary.", counted["series"])
        yield from _of_storage(stats.sizes(self._connection), forecast(self._connection))
        now = overview.now_ms(self._connection)
        yield from _of_satellites(overview.satellites(self._connection, EVERYTHING), now)
        yield from _of_sites(overview.rooms(self._connection, EVERYTHING))


def _of_sites(rooms: Mapping[str, Rooms]) -> Iterator[Metric]:
    for name, word, said in (("series", "Series", "in the dictionary"), ("resources", "Resources", "that are kept")):
        used = GaugeMetricFamily(f"nephoscope_site_{name}", f"{word} {said}.", labels=("site",))
        quota = GaugeMetricFamily(f"nephoscope_site_{name}_quota", f"{word} that a site may have.", labels=("site",))
        for site, found in rooms.items():
            room = found.series if name == "series" else found.resources
            used.add_metric((site,), room.used)
            quota.add_metric((site,), room.quota)
        yield from (used, quota)


def _of_satellites(satellites: list[SatelliteRow], now: int) -> Iterator[Metric]:
    seen = GaugeMetricFamily("nephoscope_satellite_seen", "Whether its heartbeats arrive.", labels=_LABELS)
    offset = GaugeMetricFamily(
        "nephoscope_satellite_clock_offset_seconds", "Its clock minus the metaconsole's.", labels=_LABELS
    )
    uncertainty = GaugeMetricFamily(
        "nephoscope_satellite_clock_uncertainty_seconds", "By how much that may be wrong.", labels=_LABELS
    )
    spool = GaugeMetricFamily("nephoscope_satellite_spool_bytes", "Waiting in its spool.", labels=_LABELS)
    bound = GaugeMetricFamily("nephoscope_satellite_spool_bound_bytes", "What its spool may hold.", labels=_LABELS)
    dropped = CounterMetricFamily(
        "nephoscope_satellite_spool_dropped_frames", "Dropped by its spool since its start.", labels=_LABELS
    )
    frames = CounterMetricFamily("nephoscope_log_rows", "Frames stored in the log.", labels=_LABELS)
    behind = GaugeMetricFamily(
        "nephoscope_reader_behind_rows", "Rows of the log that a reader has not read.", labels=(*_LABELS, "reader")
    )
    refused = GaugeMetricFamily(
        "nephoscope_satellite_series_refused", "Series refused because the site has all its series.", labels=_LABELS
    )
    left_out = GaugeMetricFamily(
        "nephoscope_satellite_samples_refused", "Samples of such series, of the last 35 days.", labels=_LABELS
    )
    unminted = GaugeMetricFamily(
        "nephoscope_satellite_resources_left_out", "New ones left out: the site has all its resources.", labels=_LABELS
    )
    for row in satellites:
        labels = (row.site, row.name)
        seen.add_metric(labels, float(row.is_seen(now)))
        offset.add_metric(labels, row.clock_offset_ms / 1000)
        if row.clock_uncertainty_ms is not None:
            uncertainty.add_metric(labels, row.clock_uncertainty_ms / 1000)
        spool.add_metric(labels, integer(row.heartbeat, "spool_bytes"))
        for family, name in ((bound, "spool_bound_bytes"), (dropped, "spool_dropped_frames")):
            if name in row.heartbeat:
                family.add_metric(labels, integer(row.heartbeat, name))
        frames.add_metric(labels, row.head)
        refused.add_metric(labels, row.refused["definitions"] if row.refused else 0)
        left_out.add_metric(labels, row.refused_samples)
        unminted.add_metric(labels, row.left_out["resources"] if row.left_out else 0)
        for reader in row.readers:
            behind.add_metric((*labels, reader["reader"]), reader["behind"])
    yield from (seen, offset, uncertainty, spool, bound, dropped, frames, refused, left_out, unminted, behind)


def _of_storage(sizes: Sizes, ahead: Forecast) -> Iterator[Metric]:
    yield GaugeMetricFamily("nephoscope_database_bytes", "Size of the database.", sizes.total)
    taken = GaugeMetricFamily("nephoscope_storage_bytes", "What a tier takes on disk.", labels=("tier",))
    growth = GaugeMetricFamily(
        "nephoscope_storage_growth_bytes_per_day", "What a tier grows by, once it is known.", labels=("tier",)
    )
    for tier, size in sizes.tiers().items():
        taken.add_metric((tier,), size)
        if tier in ahead.growth:
            growth.add_metric((tier,), ahead.growth[tier])
    yield from (taken, growth)
    # What is not known is absent.
    if ahead.free_bytes is not None:
        yield GaugeMetricFamily("nephoscope_storage_free_bytes", "Free space of its disk.", ahead.free_bytes)
    if ahead.full_days is not None:
        yield GaugeMetricFamily("nephoscope_storage_full_seconds", "Until that disk is full.", ahead.full_days * 86_400)
