"""The metaconsole's own figures, read from the database at each scrape.

The one promise: every worker gives the same answer, because none of them counts for itself.
"""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from metaconsole.store import overview
from metaconsole.store.database import Connection
from metaconsole.store.overview import SatelliteRow
from metaconsole.store.scope import EVERYTHING
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
        sizes = overview.figures(self._connection)
        yield GaugeMetricFamily("nephoscope_resources", "Resources that are there now.", sizes["resources"])
        yield GaugeMetricFamily("nephoscope_series", "Series in the dictionary.", sizes["series"])
        yield GaugeMetricFamily("nephoscope_database_bytes", "Size of the database.", sizes["database_bytes"])
        now = overview.now_ms(self._connection)
        yield from _of_satellites(overview.satellites(self._connection, EVERYTHING), now)


def _of_satellites(satellites: list[SatelliteRow], now: int) -> Iterator[Metric]:
    seen = GaugeMetricFamily("nephoscope_satellite_seen", "Whether its heartbeats arrive.", labels=_LABELS)
    offset = GaugeMetricFamily(
        "nephoscope_satellite_clock_offset_seconds", "Its clock minus the metaconsole's.", labels=_LABELS
    )
    spool = GaugeMetricFamily("nephoscope_satellite_spool_bytes", "Waiting in its spool.", labels=_LABELS)
    frames = CounterMetricFamily("nephoscope_log_rows", "Frames stored in the log.", labels=_LABELS)
    behind = GaugeMetricFamily(
        "nephoscope_reader_behind_rows", "Rows of the log that a reader has not read.", labels=(*_LABELS, "reader")
    )
    for row in satellites:
        labels = (row.site, row.name)
        seen.add_metric(labels, float(row.is_seen(now)))
        offset.add_metric(labels, row.clock_offset_ms / 1000)
        spool.add_metric(labels, integer(row.heartbeat, "spool_bytes"))
        frames.add_metric(labels, row.head)
        for reader in row.readers:
            behind.add_metric((*labels, reader["reader"]), reader["behind"])
    yield from (seen, offset, spool, frames, behind)
