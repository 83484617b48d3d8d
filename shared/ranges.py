"""A set of sequences as ascending, disjoint ranges: what of an epoch is pending, lost, stored or missing.

The one promise: the ranges stay merged, so that a backlog of a million frames costs a few integers.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class RangeSet:
    """Sequences as ranges, both ends included."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._first: list[int] = []
        self._last: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(list(zip(self._first, self._last, strict=True)))

    def __contains__(self, sequence: int) -> bool:
        at = bisect_right(self._first, sequence) - 1
        return at >= 0 and sequence <= self._last[at]

    def __bool__(self) -> bool:
        return bool(self._first)

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self)

    def __repr__(self) -> str:
        return f"RangeSet({list(self)})"

    @property
    def highest(self) -> int:
        """The highest sequence, 0 for an empty set."""
        return self._last[-1] if self._last else 0

    def add(self, first: int, last: int) -> None:
        """Add first to last, both included."""
        if first > last:
            raise ValueError(f"a range ascends; {first} to {last} does not")
        start = bisect_left(self._last, first - 1)
        end = bisect_right(self._first, last + 1)
        if start < end:
            first, last = min(first, self._first[start]), max(last, self._last[end - 1])
        self._first[start:end] = [first]
        self._last[start:end] = [last]

    def remove(self, first: int, last: int) -> None:
        """Remove first to last, both included; what is not in the set does not matter."""
        start = bisect_left(self._last, first)
        end = bisect_right(self._first, last)
        if start >= end:
            return
        kept = [(self._first[start], first - 1), (last + 1, self._last[end - 1])]
        kept = [(low, high) for low, high in kept if low <= high]
        self._first[start:end] = [low for low, _ in kept]
        self._last[start:end] = [high for _, high in kept]

    def next_from(self, sequence: int) -> int | None:
        """Return the lowest sequence of the set that is not below the given one, or None."""
        at = bisect_left(self._last, sequence)
        return max(sequence, self._first[at]) if at < len(self._first) else None

    def missing(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Yield the ranges between first and last that are not in the set."""
        for low, high in self._between(first, last):
            if first < low:
                yield first, low - 1
            first = max(first, high + 1)
        if first <= last:
            yield first, last

    def clipped(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Yield the ranges of the set that lie between first and last, cut to them."""
        for low, high in self._between(first, last):
            yield max(low, first), min(high, last)

    def touches(self, first: int, last: int) -> bool:
        """Tell whether any sequence from first to last is in the set."""
        at = bisect_left(self._last, first)
        return at < len(self._first) and self._first[at] <= last

    def _between(self, first: int, last: int) -> list[tuple[int, int]]:
        start, end = bisect_left(self._last, first), bisect_right(self._first, last)
        return list(zip(self._first[start:end], self._last[start:end], strict=True))
