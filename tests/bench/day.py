"""A day of the mix in the log, as gateways would have stored it: what the groups `storage` and `readers` work on.

The one promise: blocks are encoded as satellites encode them, and rows are written by the store's own append.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import Final
from uuid import UUID, uuid4

import numpy as np

from bench import mix
from metaconsole.store.database import AsyncConnection, connect, connect_async
from metaconsole.store.definitions import Definition
from metaconsole.store.epochs import Offer, register
from metaconsole.store.frames import FORMAT_VERSION, CheckedFrame, LogKind, LogRow, Sender
from metaconsole.store.log import append
from metaconsole.store.partitions import ensure_log_partitions
from metaconsole.store.series import define_series, register_metrics
from metaconsole.store.sites import ensure_satellite, ensure_site
from shared.catalogue import catalogue
from shared.columns import encode, encode_checked
from shared.pb import telemetry_pb2 as pb

CYCLES: Final = 86_400_000 // mix.INTERVAL_MS
_GROUP: Final = 16  # frames of one transaction


async def write(url: str, number: int, guests: int, start_ms: int, cycles: int = CYCLES) -> int:
    """Write cycles of one satellite's source, beginning at an instant, and return the number of samples."""
    with connect(url) as plain:
        site_id = ensure_site(plain, f"site-{number}")
        satellite_id = ensure_satellite(plain, site_id, "satellite")
    connection = await connect_async(url, statement_timeout=0, application="nephoscope bench")
    try:
        await ensure_log_partitions(connection, datetime.now(UTC))
        metrics = await register_metrics(connection, list(catalogue()))
        epoch = uuid4()
        registration = await register(connection, site_id, satellite_id, epoch, [Offer(epoch, [], 1)])
        sender = Sender(site_id, satellite_id, registration.session)
        series, source_id = await _define(connection, sender, epoch, guests, metrics)
        data = mix.generate(number, guests, cycles)
        day = _Day(data, series, source_id, metrics, sender, epoch, start_ms)
        for begin in range(0, cycles, _GROUP):
            await append(connection, [day.frame(cycle) for cycle in range(begin, min(begin + _GROUP, cycles))])
    finally:
        await connection.close()
    return cycles * guests * len(mix.METRICS)


async def _define(
    connection: AsyncConnection, sender: Sender, epoch: UUID, guests: int, metrics: Mapping[str, int]
) -> tuple[dict[str, pb.Column], int]:
    series, first, source_id = {}, 1, 0
    for name in mix.METRICS:
        definitions = [Definition("mix", "guest", f"guest-{guest}", metrics[name], ()) for guest in range(guests)]
        ids = await define_series(connection, sender.site_id, sender.satellite_id, epoch, first, definitions)
        series[name], source_id = encode(ids.series), int(ids.sources[0])
        first += guests
    return series, source_id


@dataclass(frozen=True, slots=True)
class _Day:
    data: mix.Mix
    series: Mapping[str, pb.Column]
    source_id: int
    metrics: Mapping[str, int]
    sender: Sender
    epoch: UUID
    start_ms: int

    def frame(self, cycle: int) -> CheckedFrame:
        """Return the frame of one cycle."""
        blocks = [self._block(name, cycle) for name in mix.METRICS]
        at = self.start_ms + cycle * mix.INTERVAL_MS
        row = LogRow(
            LogKind.BATCH,
            at,
            at,
            b"".join(blocks),
            self.source_id,
            "fast",
            mix.INTERVAL_MS,
            self.data.guests * len(mix.METRICS),
            tuple(self.metrics[name] for name in mix.METRICS),
            (0, *accumulate(map(len, blocks))),
            encode(np.array([at])).SerializeToString(),
        )
        return CheckedFrame(self.sender, self.epoch, cycle + 1, cycle + 1, 1, row)

    def _block(self, name: str, cycle: int) -> bytes:
        values = encode_checked(self.data.at(name, cycle), in_sequence=False)
        block = pb.Block(metric=name, scope=pb.TIME_SCOPE_BATCH, series=self.series[name], values=values)
        return bytes([FORMAT_VERSION]) + block.SerializeToString()
