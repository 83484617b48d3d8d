"""Reads 1 % of the series of a satellite back from the log and compares every value with the mix."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import numpy as np
import psycopg

from bench import mix
from bench.copy_feeder import CYCLES
from shared.batches import decode_block, decode_times
from shared.columns import I64
from shared.pb import telemetry_pb2 as pb

METRICS: Final = 4  # of 20, each of 1 guest in 20: 1 % of the series
_BLOCKS: Final = """
SELECT log.times, substring(log.payload FROM (log.offsets[place] + 1)::int
                            FOR (log.offsets[place + 1] - log.offsets[place])::int)
FROM log JOIN metric ON metric.name = %(metric)s, array_position(log.metrics, metric.metric_id) AS place
WHERE log.satellite_id = %(satellite)s AND log.kind = 1 ORDER BY log.ordinal
"""
_SERIES: Final = """
SELECT series.series_id, resource_key.key FROM series JOIN metric USING (metric_id) JOIN resource_key
USING (site_id, resource_id) JOIN source USING (site_id, source_id)
WHERE metric.name = %(metric)s AND source.name = %(source)s
"""


@dataclass(frozen=True, slots=True)
class Checked:
    """How much was compared."""

    series: int
    batches: int


def check(url: str, satellite: UUID, number: int, guests: int, start_ms: int) -> Checked:
    """Compare; raises AssertionError at the first value that is not what was handed over."""
    random = np.random.default_rng(number)
    data = mix.generate(number, guests, CYCLES)
    chosen = random.choice(guests, max(1, guests // 20), replace=False)
    batches = 0
    with psycopg.connect(url) as connection:
        for metric in random.choice(mix.METRICS, METRICS, replace=False).tolist():
            batches = _check(connection, satellite, number, metric, data, chosen, start_ms)
    return Checked(METRICS * len(chosen), batches)


def _check(
    connection: psycopg.Connection[Any],
    satellite: UUID,
    number: int,
    metric: str,
    data: mix.Mix,
    chosen: I64,
    start: int,
) -> int:
    rows = connection.execute(_SERIES, {"metric": metric, "source": f"bench-{number}"}).fetchall()
    guest_of = {series: int(key.removeprefix("guest-")) for series, key in rows}
    assert len(guest_of) == data.guests, f"{metric} has {len(guest_of)} series, {data.guests} were defined"
    cycles = []
    with connection.cursor(name="readback") as cursor:
        cursor.execute(_BLOCKS, {"metric": metric, "satellite": satellite})
        for times, block in cursor:
            instants = decode_times(pb.Batch(times=pb.Column.FromString(times)))
            samples = decode_block(pb.Block.FromString(block[1:]), instants)
            cycle, rest = divmod(int(instants[0]) - start, mix.INTERVAL_MS)
            assert (rest, len(instants)) == (0, 1)
            values = np.empty(data.guests, samples.values.dtype)
            values[[guest_of[series] for series in samples.series.tolist()]] = samples.values
            expected = data.at(metric, cycle)
            assert values.dtype == expected.dtype
            assert np.array_equal(values[chosen], expected[chosen]), f"{metric} of cycle {cycle} is not what was sent"
            cycles.append(cycle)
    assert sorted(cycles) == list(range(len(cycles))), f"{metric}: a cycle is missing or stands twice"
    return len(cycles)
