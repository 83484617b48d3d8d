"""The sources of a site: each session knows them all, so there are not without end.

The one promise: what a session names besides the sources that were known when it began is bounded with them.
"""

from collections.abc import Iterable
from typing import Final

from metaconsole.gateway.refused import RefusedError
from shared.limits import NAME
from shared.pb import events_pb2, inventory_pb2, telemetry_pb2

SOURCES: Final = 10_000  # of a site


class Sources:
    """The ids of a site's sources by name, and names that have none yet: readers give them theirs."""

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}
        self._named: set[str] = set()

    def name(self, names: Iterable[str]) -> None:
        """Note sources that something speaks of; raises RefusedError where one of them is one too many."""
        for name in names:
            if not self.has_room(name):
                raise RefusedError("limit", f"a site has at most {SOURCES} sources; {name[:NAME]!r} would be one more")

    def has_room(self, name: str) -> bool:
        """Tell whether something may speak of a source, and note it if so."""
        if name in self.ids or name in self._named or not name:
            return True
        if len(self.ids) + len(self._named) >= SOURCES:
            return False
        self._named.add(name)
        return True

    def learn(self, ids: dict[str, int]) -> None:
        """Take ids that are known now."""
        self.ids.update(ids)
        self._named -= ids.keys()


def named_by(content: inventory_pb2.InventoryDelta | events_pb2.EventList | telemetry_pb2.GapList) -> set[str]:
    """Return the sources that inventory, events or gaps name."""
    if isinstance(content, inventory_pb2.InventoryDelta):
        relations = (*content.relations, *content.removed_relations)
        ends = [end for relation in relations for end in (getattr(relation, "from"), relation.to)]
        names = {content.source, *(end.source for end in ends)}
    else:
        facts = content.events if isinstance(content, events_pb2.EventList) else content.gaps
        names = {name for fact in facts for name in (fact.source, fact.resource.source)}
    return names
