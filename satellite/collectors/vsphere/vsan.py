"""vSAN of clusters: health, space, what is being copied, and performance.

The one promise: a vSAN service that fails, hangs or lacks something costs nothing but what it would have said, and the
health is unknown then; a cluster without vSAN is never asked for it.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from satellite.collector import SourceError, SourceUnreachableError
from satellite.collectors.vsphere.assembly import Memory, Window, assemble
from satellite.collectors.vsphere.counters import CLUSTER
from satellite.collectors.vsphere.library import SessionEndedError, library
from satellite.collectors.vsphere.properties import read_properties
from satellite.collectors.vsphere.querying import Call
from satellite.collectors.vsphere.samples import Found
from satellite.collectors.vsphere.session import Session
from satellite.collectors.vsphere.sizes import Values, sizes_of
from satellite.collectors.vsphere.targets import Target
from satellite.collectors.vsphere.vsan_answers import CLIENT, health_of, performance_of, resync_of, space_of
from shared.model import Readings

log = logging.getLogger(__name__)
T = TypeVar("T")

_WINDOW: Final = Window(300_000, first=3, most=12)
_ENABLED: Final = "configurationEx.vsanConfigInfo.enabled"
_PATH: Final = "/vsanHealth"
# The oldest version of vSAN's interface that has all we ask for, by the version of the server's; newer ones know it.
_VERSIONS: Final = (
    ("7", "vsan.version.version12"),
    ("6.7.3", "vsan.version.version11"),
    ("6", "vsan.version.version3"),
)
_TOLD: Final = 100


class Vsan:
    """Belongs to the event loop. It outlives sessions, so that what one has seen does not come again in the next."""

    def __init__(self) -> None:
        self._memory = Memory()
        self._service: _Service | None = None
        self._told: set[str] = set()

    async def collect(self, call: Call, session: Session, targets: Sequence[Target]) -> Readings:
        """Return what is new of the clusters that have vSAN; nothing else is looked at. Raises SourceError."""
        clusters = [target for target in targets if target.type == CLUSTER]
        end = (await call(session.clock)).ms
        enabled = await read_properties(call, session, clusters, [_ENABLED], lambda found: found.get(_ENABLED) is True)
        clusters = [target for target, yes in enabled if yes]
        since = self._memory.since(clusters, end, _WINDOW)
        values, found = await self._asked(call, session, clusters, since, end) if clusters else ([], [])
        sizes = sizes_of(values, end)
        readings, memory = await call(assemble, found, clusters, since, end, _WINDOW, self._memory, sizes)
        self._memory = memory
        return readings

    async def _asked(
        self, call: Call, session: Session, clusters: Sequence[Target], since: Mapping[str, int], end: int
    ) -> tuple[list[tuple[Target, Values]], list[Found]]:
        service = self._service
        if service is None or service.session is not session:
            service = self._service = await call(_Service, session)
        values: list[tuple[Target, Values]] = []
        found: list[Found] = []
        answers = True

        async def ask(function: Callable[..., T], *arguments: Any) -> T | None:
            nonlocal answers
            try:
                return await call(function, *arguments) if answers else None
            except SessionEndedError:
                raise
            except SourceError as error:
                answers = not isinstance(error, SourceUnreachableError)
                self._tell(error)
                return None

        for target in clusters:
            values.append((target, await ask(service.health, target.id) or health_of(None)))
            values.append((target, await ask(service.space, target.id) or {}))
            values.append((target, await ask(service.resync, target.id) or {}))
            found += await ask(service.performance, target.id, since[target.id], end) or []
        return values, found

    def _tell(self, error: SourceError) -> None:
        sentence = str(error)
        if sentence not in self._told and len(self._told) < _TOLD:
            self._told.add(sentence)
            log.warning("vSAN: %s (told once)", sentence)


class _Service:
    """The vSAN service by one session; each method blocks, is one call, and raises SourceError."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._version = next(version for prefix, version in _VERSIONS if _reaches(session, prefix))
        self._stub = session.other_stub(_PATH, self._version)

    def health(self, cluster: str) -> Values:
        """Return the result of the last checks; new ones are never begun, for they load the hosts."""
        with self.session.errors():
            system = self._of("VsanVcClusterHealthSystem", "vsan-cluster-health-system")
            fields = ["overallHealth", "overallHealthDescription", "timestamp"]
            return health_of(
                system.QueryClusterHealthSummary(
                    cluster=self._cluster(cluster), includeObjUuids=False, fields=fields, fetchFromCache=True
                )
            )

    def space(self, cluster: str) -> Values:
        """Return capacity and what of it is free."""
        with self.session.errors():
            system = self._of("VsanSpaceReportSystem", "vsan-cluster-space-report-system")
            return space_of(system.QuerySpaceUsage(self._cluster(cluster)))

    def resync(self, cluster: str) -> Values:
        """Return how much is yet to be copied."""
        with self.session.errors():
            system = self._of("VsanObjectSystem", "vsan-cluster-object-system")
            return resync_of(system.QuerySyncingVsanObjectsSummary(self._cluster(cluster)))

    def performance(self, cluster: str, since: int, end: int) -> list[Found]:
        """Return the samples after an instant and up to another (UTC milliseconds)."""
        with self.session.errors():
            system = self._of("VsanPerformanceManager", "vsan-performance-manager")
            spec = library().vim.cluster.VsanPerfQuerySpec(
                entityRefId=f"{CLIENT}:*",
                startTime=datetime.fromtimestamp(since / 1000, UTC),
                endTime=datetime.fromtimestamp(end / 1000, UTC),
            )
            return performance_of(system.QueryVsanPerf([spec], self._cluster(cluster)) or (), cluster)

    def _of(self, kind: str, name: str) -> Any:
        return getattr(library().vim.cluster, kind)(name, self._stub)

    def _cluster(self, cluster: str) -> Any:
        return library().vim.ClusterComputeResource(cluster, self._stub)


def _reaches(session: Session, version: str) -> bool:
    """Tell whether the server's interface is of a version or newer."""
    theirs = [int(part) for part in str(session.content.about.apiVersion).split(".") if part.isdecimal()]
    return theirs >= [int(part) for part in version.split(".")]
