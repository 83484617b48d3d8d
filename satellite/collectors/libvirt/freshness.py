"""Whether what a guest's balloon driver said is still true: libvirt repeats the last answer for ever.

The one promise: nothing that the driver has not renewed within a minute (or a few of its periods) is passed on.
"""

import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Final

from satellite.collectors.libvirt.client import Guest

_PATIENCE: Final = 60.0  # seconds


class Freshness:
    """Watches `balloon.last-update` by this machine's own clock: the host's may differ."""

    def __init__(self, interval: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._patience = max(_PATIENCE, 3 * interval)
        self._monotonic = monotonic
        self._seen: dict[str, tuple[int, float]] = {}

    def fresh(self, guest: Guest) -> bool:
        """Whether the guest's driver has answered, and has renewed its answer lately."""
        update = guest.statistics.get("balloon.last-update", 0)
        if not isinstance(update, int) or update <= 0:
            # The test driver has no such time; one that has it says 0 until the driver's first answer.
            return "balloon.last-update" not in guest.statistics and "balloon.available" in guest.statistics
        now = self._monotonic()
        known = self._seen.get(guest.uuid)
        if known is None or known[0] != update:
            self._seen[guest.uuid] = update, now
            return True
        return now - known[1] <= max(self._patience, 3 * guest.document.balloon_period)

    def keep(self, guests: AbstractSet[str]) -> None:
        """Forget all other guests."""
        self._seen = {uuid: seen for uuid, seen in self._seen.items() if uuid in guests}
