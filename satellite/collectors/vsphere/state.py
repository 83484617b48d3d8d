"""What is a metric and stands in the inventory already: states, CPUs, memory, snapshots.

The one promise: the server is not asked for it.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np

from satellite.blocks import Blocks
from satellite.collectors.vsphere.described import Measured
from satellite.collectors.vsphere.picture import Picture
from shared.catalogue import state_code
from shared.columns import I64
from shared.model import Kind, Readings, ResourceKey, SeriesKey

_STATE: Final = "resource.state"
_AGE: Final = "vm.snapshot.age"
_ALL: Final = frozenset({Kind.HOST, Kind.GUEST})
_GUESTS: Final = frozenset({Kind.GUEST})
_COLUMNS: Final[Mapping[str, tuple[frozenset[Kind], Callable[[Measured], int | None]]]] = MappingProxyType(
    {
        "system.cpu.logical.count": (_ALL, lambda measured: measured.logical_cpus),
        "system.cpu.physical.count": (frozenset({Kind.HOST}), lambda measured: measured.physical_cpus),
        "system.memory.limit": (_ALL, lambda measured: measured.memory),
        "vm.memory.assigned": (_GUESTS, lambda measured: measured.memory),
        "vm.snapshot.count": (_GUESTS, lambda measured: measured.snapshots),
    }
)


class States:
    """The readings of a picture; made once for each, told as often as they are asked for."""

    def __init__(self) -> None:
        self._blocks = Blocks()
        self._series: dict[tuple[str, ResourceKey], SeriesKey] = {}
        self._picture: Picture | None = None
        self._columns: list[tuple[Sequence[SeriesKey], I64]] = []
        self._ages: tuple[Sequence[SeriesKey], I64] = (), np.empty(0, np.int64)

    def readings(self, picture: Picture, now_ms: int) -> Readings:
        """Return how everything is at this moment."""
        if picture is not self._picture:
            self._make(picture)
        for series, values in self._columns:
            self._blocks.add(series, values)
        series, since = self._ages
        self._blocks.add(series, np.maximum(now_ms - since, 0) / 1000)
        return self._blocks.readings(now_ms)

    def _make(self, picture: Picture) -> None:
        before, self._series = self._series, {}
        rows = [(resource.key, measured) for resource, measured in picture.measured if measured is not None]
        states = [(resource.key, state_code(resource.state)) for resource, _ in picture.measured]
        self._columns = [self._column(_STATE, states, before)]
        for metric, (kinds, value) in _COLUMNS.items():
            told = [(key, value(measured)) for key, measured in rows if key.kind in kinds]
            self._columns.append(self._column(metric, [(key, one) for key, one in told if one is not None], before))
        oldest = [(key, measured.oldest_snapshot_ms) for key, measured in rows if measured.oldest_snapshot_ms]
        self._ages = self._column(_AGE, oldest, before)
        self._picture = picture

    def _column(
        self,
        metric: str,
        values: Sequence[tuple[ResourceKey, int]],
        before: Mapping[tuple[str, ResourceKey], SeriesKey],
    ) -> tuple[Sequence[SeriesKey], I64]:
        series = [before.get((metric, key)) or SeriesKey(key, metric) for key, _ in values]
        self._series |= {(metric, one.resource): one for one in series}
        return series, np.array([value for _, value in values], dtype=np.int64)
