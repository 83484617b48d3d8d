"""The ids of the series of a metric of a kind of resource, kept per site in each process of the web.

The one promise: only the ids of the sites asked for are returned. A new series is there at the first question after it
was defined, or, should its id be far below the newest, ten minutes later at the latest.
"""

import threading
import time
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from metaconsole.store import dictionary
from metaconsole.store.database import Connection
from metaconsole.store.scope import Scope
from shared.columns import I64

_KEPT_SECONDS: Final = 600.0  # series leave the dictionary, too
_UNSETTLED: Final = 65_536  # ids behind the newest that may still come: every gateway hands out a thousand of its own
_KEPT_IDS: Final = 20_000_000  # of all sites together: 160 MB
_Key: TypeAlias = tuple[int, str, str]  # site, kind, metric


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """The ids, by what was known of the site when they were read, and when all of them were read."""

    ids: I64
    version: tuple[int, int]
    since: float


@dataclass(frozen=True, slots=True, eq=False)
class Ids:
    """Series and their sites, of equal length."""

    sites: I64
    series: I64


class Directory:
    """What one process of the web keeps."""

    def __init__(self) -> None:
        self._known: dict[_Key, _Known] = {}
        self._lock = threading.Lock()

    def ids(self, connection: Connection, scope: Scope, kind: str, site: str | None, metric: str) -> Ids:
        """Return the series of a metric of the resources of a kind, of one site by name or of all in the scope."""
        found = {
            site_id: self._of_site(connection, (site_id, kind, metric), version)
            for site_id, version in dictionary.sites_in(connection, scope, site).items()
        }
        if not found:
            return Ids(np.empty(0, np.int64), np.empty(0, np.int64))
        lengths = [len(ids) for ids in found.values()]
        return Ids(np.repeat(np.array(list(found), np.int64), lengths), np.concatenate(list(found.values())))

    def _of_site(self, connection: Connection, key: _Key, version: tuple[int, int]) -> I64:
        now = time.monotonic()
        with self._lock:
            known = self._known.get(key)
        if known is None or now - known.since > _KEPT_SECONDS:
            known = _Known(np.empty(0, np.int64), (0, 0), now)
        if version != known.version:
            settled = max(0, known.version[0] - _UNSETTLED)
            kept = known.ids[: np.searchsorted(known.ids, settled, "right")]
            more = dictionary.ids_of_kind(connection, *key, settled)
            known = _Known(np.concatenate([kept, more]), version, known.since)
            self._keep(key, known)
        return known.ids

    def _keep(self, key: _Key, known: _Known) -> None:
        with self._lock:
            self._known.pop(key, None)
            self._known[key] = known
            while sum(len(one.ids) for one in self._known.values()) > _KEPT_IDS and len(self._known) > 1:
                del self._known[next(iter(self._known))]
