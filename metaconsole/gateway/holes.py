"""How many ranges the numbers of a session make: an honest satellite leaves hardly a hole between them.

The one promise: nobody makes what was taken so full of holes that storing it costs the other satellites their time.
"""

from bisect import bisect_left
from typing import Final
from uuid import UUID

from metaconsole.gateway.check import ProtocolError

RANGES: Final = 10_000  # of an epoch: its row is then 160 KiB, and 13 ms are needed to change it


class Holes:
    """The numbers that came over one session, as ranges; `before` are the ranges that were taken of each epoch."""

    def __init__(self, before: dict[UUID, int]) -> None:
        self._before = before
        self._edges: dict[UUID, tuple[list[int], list[int]]] = {}
        self._ranges = 0

    def add(self, epoch: UUID, first: int, last: int) -> None:
        """Note numbers, first to last; raises ProtocolError where they make too many ranges."""
        firsts, lasts = self._edges.setdefault(epoch, ([], []))
        # All ranges that touch the new one, or lie in it, become one with it.
        begin, end = bisect_left(lasts, first - 1), bisect_left(firsts, last + 2)
        if begin < end:
            first, last = min(first, firsts[begin]), max(last, lasts[end - 1])
        firsts[begin:end], lasts[begin:end] = [first], [last]
        self._ranges += 1 - (end - begin)
        if self._ranges + self._before.get(epoch, 0) > RANGES:
            raise ProtocolError(
                f"the numbers of epoch {epoch} have more than {RANGES} holes, where there should be none: "
                "start the satellite again, with a new epoch"
            )
