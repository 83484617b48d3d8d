"""Statistics that the server keeps in its database: of clusters, pools and datastores; and what their sizes are.

The one promise: no more is asked at once than the server's administrator allows, and each sample comes once, within an
hour.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from satellite.collectors.vsphere.assembly import Memory, Window, assemble
from satellite.collectors.vsphere.counters import CLUSTER, DATASTORE, POOL, VAPP, Counters, read_keys
from satellite.collectors.vsphere.library import library
from satellite.collectors.vsphere.querying import Call, Limit, Query
from satellite.collectors.vsphere.session import Session
from satellite.collectors.vsphere.sizes import read_sizes
from satellite.collectors.vsphere.targets import Target
from shared.model import Readings

INTERVAL: Final = 300  # seconds: the shortest that a vCenter keeps
_TYPES: Final = frozenset({CLUSTER, DATASTORE, POOL, VAPP})
_WINDOW: Final = Window(INTERVAL * 1000, first=3, most=12)
_SETTING: Final = "config.vpxd.stats.maxQueryMetrics"
_USUAL: Final = 256  # of a vCenter since 6.5, where nobody has set another


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """What is known of a session; the limit is lowered in use. No query where the server keeps no history."""

    session: Session
    query: Query | None
    limit: Limit


class History:
    """Belongs to the event loop. It outlives sessions, so that what one has seen does not come again in the next."""

    def __init__(self) -> None:
        self._memory = Memory()
        self._prepared: _Prepared | None = None

    async def collect(
        self, call: Call, session: Session, targets: Sequence[Target], snapshots: Sequence[Target] = ()
    ) -> Readings:
        """Return what is new of clusters, pools and datastores, and the sizes. Raises SourceError.

        snapshots: the guests that have any, running or not. Other types are not looked at.
        """
        targets = [target for target in targets if target.type in _TYPES]
        datastores = [target for target in targets if target.type == DATASTORE]
        prepared = self._prepared
        if prepared is None or prepared.session is not session:
            prepared = self._prepared = await call(_prepare, session)
        clock = await call(session.clock)
        end = clock.ms // _WINDOW.step * _WINDOW.step
        since = self._memory.since(targets, end, _WINDOW)
        query = prepared.query
        found = [] if query is None else await query.ask(call, targets, since, end, prepared.limit)
        sizes = await read_sizes(call, session, datastores, snapshots, clock.ms)
        readings, memory = await call(assemble, found, targets, since, end, _WINDOW, self._memory, sizes)
        self._memory = memory
        return readings


def _prepare(session: Session) -> _Prepared:
    """Return how a server is asked: which counters, and how many at once. Blocks."""
    with session.errors():
        kept = {each.samplingPeriod for each in session.content.perfManager.historicalInterval or () if each.enabled}
    query = Query(session, Counters(read_keys(session), INTERVAL), INTERVAL) if INTERVAL in kept else None
    return _Prepared(session, query, Limit(_most(session)))


def _most(session: Session) -> int:
    """Return how many historical metrics the server gives at once; negative: as many as one likes. Blocks."""
    vim = library().vim
    with session.errors():
        try:
            options = session.content.setting.QueryOptions(_SETTING)
        except vim.fault.InvalidName:  # nobody has set it
            return _USUAL
        for option in options:
            value = str(option.value).strip()
            if value.lstrip("-").isdecimal() and value.isascii():
                # None at all would be a mistake that the server's own answers are about.
                return int(value) or _USUAL
    return _USUAL
