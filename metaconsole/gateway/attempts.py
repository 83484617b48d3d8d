"""Bounds how often somebody may fail, or do what costs: a bucket of tries each, that fills again with time.

The one promise: memory is bounded, whoever asks from wherever.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

_PEERS: Final = 10_000  # the longest unseen is forgotten


class Attempts:
    """Tries of each peer; full of `burst`, and one more every `seconds`."""

    def __init__(self, burst: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._seconds, self._clock = burst, seconds, clock
        self._spent: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()  # how many, when

    def wait(self, peer: Hashable) -> float:
        """Return after how many seconds the peer may try, 0 for now."""
        return max(0.0, (self._left(peer) - self._burst + 1) * self._seconds)

    def spend(self, peer: Hashable) -> None:
        """Note a try."""
        self._set(peer, min(self._left(peer) + 1.0, float(self._burst)))

    def forgive(self, peer: Hashable) -> None:
        """Take a try back: it was none."""
        self._set(peer, max(0.0, self._left(peer) - 1.0))

    def _set(self, peer: Hashable, spent: float) -> None:
        self._spent[peer] = (spent, self._clock())
        self._spent.move_to_end(peer)
        while len(self._spent) > _PEERS:
            self._spent.popitem(last=False)

    def _left(self, peer: Hashable) -> float:
        spent, at = self._spent.get(peer, (0.0, 0.0))
        return max(0.0, spent - (self._clock() - at) / self._seconds)
