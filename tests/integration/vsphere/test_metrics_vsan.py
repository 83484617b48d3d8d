"""vSAN of clusters, against the simulator: what it says in base units, few calls, and what a failing service costs."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import pytest
import vsanapiutils
from fixtures.vsphere import Size, Vsphere, simulated
from fixtures.vsphere_client import session, view
from fixtures.vsphere_statistics import call, opened, samples_of, targets_of
from pyVmomi import vim

from satellite.collector import SourceError
from satellite.collectors.vsphere.session import Session
from satellite.collectors.vsphere.targets import Target
from satellite.collectors.vsphere.vsan import Vsan
from satellite.testing import check_readings
from shared.model import Readings

READ, WRITE = (("disk.io.direction", "read"),), (("disk.io.direction", "write"),)
LABELS: Final = {
    "iopsRead": ("storage.operations.rate", READ, 1.0),
    "iopsWrite": ("storage.operations.rate", WRITE, 1.0),
    "throughputRead": ("storage.io.rate", READ, 1.0),
    "throughputWrite": ("storage.io.rate", WRITE, 1.0),
    "latencyAvgRead": ("storage.latency", READ, 0.000001),
    "latencyAvgWrite": ("storage.latency", WRITE, 0.000001),
    "congestion": ("vsan.congestion", (), 1.0),
    "oio": ("vsan.outstanding_io", (), 1.0),
}
GREEN, RED, UNKNOWN = 1, 3, 0
FACTS: Final = {
    "vsan.health", "vsan.resync.size", "vsan.resync.objects",
    "storage.capacity", "storage.usage", "storage.available",
}  # fmt: skip


@pytest.fixture
def ours(vcenter: Vsphere) -> Iterator[Session]:
    """Return our session at the module's vCenter, whose vSAN is well."""
    vcenter.set_vsan(health="green", used_fraction=0.4)
    with opened(vcenter) as made:
        yield made


@pytest.fixture
def clusters(vcenter: Vsphere) -> list[Target]:
    """Return both clusters."""
    with session(vcenter) as instance:
        return targets_of(instance.content, "ClusterComputeResource")


def collect(vsan: Vsan, ours: Session, targets: Sequence[Target]) -> Readings:
    readings = asyncio.run(vsan.collect(call, ours, targets))
    check_readings(readings, {target.key for target in targets})
    assert readings.by_source_clock
    return readings


def facts(readings: Readings) -> dict[tuple[str, str], float]:
    return {name[:2]: value for name, value in samples_of(readings).items() if name[1] in FACTS}


def test_performance_is_what_the_service_says_in_base_units(
    vcenter: Vsphere, ours: Session, clusters: list[Target]
) -> None:
    readings = collect(Vsan(), ours, clusters)
    found = {name: value for name, value in samples_of(readings).items() if name[1] not in FACTS}
    assert len({name[3] for name in found}) == 3
    wanted = {}
    with session(vcenter) as instance:
        services = vsanapiutils.GetVsanVcMos(instance._stub, context=vcenter.tls(), version="vsan.version.version12")
        for cluster in view(instance.content, vim.ClusterComputeResource).view:
            spec = vim.cluster.VsanPerfQuerySpec(entityRefId="cluster-domclient:*")
            (answer,) = services["vsan-performance-manager"].QueryVsanPerf([spec], cluster)
            for series in answer.value:
                metric, attributes, base = LABELS[series.metricId.label]
                for text, value in zip(answer.sampleInfo.split(","), series.values.split(","), strict=True):
                    moment = moment_of(text)
                    wanted[cluster._moId, metric, attributes, moment] = int(value) * base
        services["vsan-performance-manager"]._stub.DropConnections()
    assert {name[1] for name in found} == {metric for metric, _, _ in LABELS.values()}
    assert all(value == pytest.approx(wanted[name], rel=1e-12) for name, value in found.items())


def moment_of(text: str) -> int:
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()) * 1000


def test_health_space_and_resync_are_told_and_few_calls_made(
    vcenter: Vsphere, ours: Session, clusters: list[Target]
) -> None:
    vsan = Vsan()
    vcenter.set_vsan(health="red", resync_bytes=1 << 30, resync_count=7, used_fraction=0.75)
    vcenter.traffic(reset=True)
    found = facts(collect(vsan, ours, clusters))
    total = 100 * 2**40
    for cluster in clusters:
        assert {metric: value for (name, metric), value in found.items() if name == cluster.id} == {
            "vsan.health": RED, "vsan.resync.size": 2**30, "vsan.resync.objects": 7,
            "storage.capacity": total, "storage.available": total // 4, "storage.usage": total * 3 // 4,
        }  # fmt: skip
    calls = {method: int(each["calls"]) for method, each in vcenter.traffic(reset=True).items()}
    assert calls == {
        "CurrentTime": 1, "RetrievePropertiesEx": 1, "VsanQueryVcClusterHealthSummary": 2, "VsanQuerySpaceUsage": 2,
        "QuerySyncingVsanObjectsSummary": 2, "VsanPerfQueryPerf": 2,
    }  # fmt: skip
    for colour, code in (("green", GREEN), ("yellow", 2), ("info", UNKNOWN), ("", UNKNOWN)):
        vcenter.set_vsan(health=colour)
        assert facts(collect(vsan, ours, clusters))[clusters[0].id, "vsan.health"] == code


def test_each_sample_comes_once_and_what_is_none_is_absent(
    vcenter: Vsphere, ours: Session, clusters: list[Target]
) -> None:
    vsan = Vsan()
    first = collect(vsan, ours, clusters)
    vcenter.knobs(clock_seconds=600)
    every = [
        {name for name in samples_of(each) if name[1] not in FACTS} for each in (first, collect(vsan, ours, clusters))
    ]
    assert not every[0] & every[1]
    assert len({name[3] for name in every[0] | every[1]}) == 5
    vcenter.knobs(clock_seconds=900)
    vcenter.set_vsan(health="green", nan=True)
    assert {name[1] for name in samples_of(collect(vsan, ours, clusters))} == FACTS


def test_a_cluster_without_vsan_is_not_asked_for_it() -> None:
    with simulated(Size(guests=1)) as server, opened(server) as ours, session(server) as instance:
        targets = targets_of(instance.content, "ClusterComputeResource", "HostSystem")
        server.traffic(reset=True)
        assert samples_of(collect(Vsan(), ours, targets)) == {}
        assert server.traffic(reset=True).keys() == {"CurrentTime", "RetrievePropertiesEx"}
        assert samples_of(collect(Vsan(), ours, targets[1:])) == {}
        assert server.traffic().keys() == {"CurrentTime"}


def test_what_the_service_lacks_costs_only_itself(vcenter: Vsphere, ours: Session, clusters: list[Target]) -> None:
    vsan = Vsan()
    vcenter.knobs(fault={"VsanPerfQueryPerf": "NotFound", "QuerySyncingVsanObjectsSummary": "NoPermission"})
    found = samples_of(collect(vsan, ours, clusters))
    assert {name[1] for name in found} == FACTS - {"vsan.resync.size", "vsan.resync.objects"}
    vcenter.knobs(fault={"VsanQueryVcClusterHealthSummary": "SystemError"})
    later = facts(collect(vsan, ours, clusters))
    assert [later[cluster.id, "vsan.health"] for cluster in clusters] == [UNKNOWN, UNKNOWN]
    assert {metric for _, metric in later} == FACTS


def test_a_service_that_does_not_answer_is_left_alone_until_the_next_cycle(
    vcenter: Vsphere, ours: Session, clusters: list[Target], caplog: pytest.LogCaptureFixture
) -> None:
    vsan = Vsan()
    vcenter.knobs(status={"VsanQueryVcClusterHealthSummary": 503})
    vcenter.traffic(reset=True)
    found = facts(collect(vsan, ours, clusters))
    assert found == {(cluster.id, "vsan.health"): UNKNOWN for cluster in clusters}
    asked = {method for method in vcenter.traffic() if "san" in method}
    assert asked == {"VsanQueryVcClusterHealthSummary"}
    assert "vSAN" in caplog.text
    vcenter.knobs()
    whole = samples_of(collect(vsan, ours, clusters))
    assert {name[1] for name in whole} == FACTS | {metric for metric, _, _ in LABELS.values()}


def test_the_end_of_the_session_is_told(vcenter: Vsphere, ours: Session, clusters: list[Target]) -> None:
    vcenter.knobs(fault={"VsanQuerySpaceUsage": "NotAuthenticated"})
    with pytest.raises(SourceError, match="ended the session"):
        collect(Vsan(), ours, clusters)
    vcenter.knobs()


def test_a_cluster_that_vanished_costs_nothing(vcenter: Vsphere, ours: Session, clusters: list[Target]) -> None:
    gone = replace(clusters[0], id="domain-c9999", key=replace(clusters[0].key, key="gone"))
    found = facts(collect(Vsan(), ours, [gone, *clusters]))
    assert {name for name, _ in found} == {cluster.id for cluster in clusters}
