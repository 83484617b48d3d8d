"""When the machine's counters began to count: at its boot, or since a disk or an interface is there.

The one promise: a counter's start stays what it was for as long as the counter goes on.
"""

from typing import Final

from satellite.collectors.host.client import Snapshot
from shared.model import SeriesKey

_DEVICES: Final = ("system.device", "network.interface.name")  # the attributes that name what may come and go


class Starts:
    """Remembers since when each disk and interface is there."""

    def __init__(self) -> None:
        self._boot_ms = 0
        self._since: dict[tuple[str, str], int] = {}
        self._looked_ms: int | None = None

    def look(self, snapshot: Snapshot) -> None:
        """Take note of what is there: what was not at the last look began after it, the rest counts from the boot."""
        since = snapshot.boot_ms if self._looked_ms is None else self._looked_ms
        names = [(_DEVICES[0], name) for name in snapshot.disks] + [(_DEVICES[1], name) for name in snapshot.interfaces]
        self._since = {name: self._since.get(name, since) for name in names}
        self._boot_ms, self._looked_ms = snapshot.boot_ms, snapshot.time_ms

    def of(self, key: SeriesKey) -> int:
        """Return when a counter of the last snapshot began, UTC milliseconds."""
        device = next((attribute for attribute in key.attributes if attribute[0] in _DEVICES), None)
        return self._boot_ms if device is None else self._since[device]
