"""What a process keeps of what it read, bounded in bytes: whatever was asked for least recently goes first.

The one promise: the kept values never take more than their bound, by the sizes that were told.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class Kept(Generic[_Key, _Value]):
    """Values by key. They are shared by all who ask: nobody may change one."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._values: OrderedDict[_Key, tuple[_Value, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: _Key) -> _Value | None:
        """Return the value of a key, or None."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def keep(self, key: _Key, value: _Value, size: int) -> None:
        """Keep a value of so many bytes instead of the key's former one; what is larger than the bound is not kept."""
        with self._lock:
            self._forget(key)
            if size > self._limit:
                return
            self._values[key] = value, size
            self._size += size
            while self._size > self._limit:
                self._forget(next(iter(self._values)))

    def _forget(self, key: _Key) -> None:
        former = self._values.pop(key, None)
        if former is not None:
            self._size -= former[1]
