"""Statistics of hosts and guests: the samples of 20 s that the hosts keep in memory.

The one promise: each sample once: what comes late comes with a later cycle, within fifteen samples.
"""

from collections.abc import Sequence
from typing import Final

from satellite.collectors.vsphere.assembly import Memory, Window, assemble
from satellite.collectors.vsphere.counters import GUEST, HOST, Counters, read_keys
from satellite.collectors.vsphere.querying import Call, Limit, Query
from satellite.collectors.vsphere.session import Session
from satellite.collectors.vsphere.targets import Target
from shared.model import Readings

INTERVAL: Final = 20  # seconds
_TYPES: Final = frozenset({GUEST, HOST})
_WINDOW: Final = Window(INTERVAL * 1000, first=3, most=15)


class Realtime:
    """Belongs to the event loop. It outlives sessions, so that what one has seen does not come again in the next."""

    def __init__(self) -> None:
        self._memory = Memory()
        self._session: Session | None = None
        self._query: Query | None = None

    async def collect(self, call: Call, session: Session, targets: Sequence[Target]) -> Readings:
        """Return what is new of hosts and guests; others are not looked at. Raises SourceError.

        A target is asked whatever its state: what is off, or on a host that does not answer, is to be left out before.
        """
        targets = [target for target in targets if target.type in _TYPES]
        query = await self._prepared(call, session)
        clock = await call(session.clock)
        end = clock.ms // _WINDOW.step * _WINDOW.step
        since = self._memory.since(targets, end, _WINDOW)
        found = await query.ask(call, targets, since, end, Limit())
        # In a thread, since it takes a while for many; taken over here, since one that comes too late must not count.
        readings, memory = await call(assemble, found, targets, since, end, _WINDOW, self._memory)
        self._memory = memory
        return readings

    async def _prepared(self, call: Call, session: Session) -> Query:
        if self._query is None or self._session is not session:
            keys = await call(read_keys, session)
            self._session, self._query = session, Query(session, Counters(keys, INTERVAL), INTERVAL)
        return self._query
