"""Sizes and vSAN's answers: what is told, what is left unsaid, and what can't be."""

from types import SimpleNamespace

import numpy as np
import pytest
from fixtures.vsphere_answers import END, by_type, vsan_performance
from pyVmomi import vim

from satellite.collectors.vsphere.sizes import datastore_sizes, sizes_of, snapshot_sizes
from satellite.collectors.vsphere.vsan_answers import health_of, performance_of, resync_of, space_of

Layout = vim.vm.FileLayoutEx


def test_sizes_that_cannot_be_are_absent() -> None:
    store = by_type("Datastore")
    assert sizes_of([(store, {"storage.capacity": -1, "storage.usage": 2**60, "storage.available": 7})], END).parts
    ((series, values),) = sizes_of([(store, {"storage.usage": -1, "storage.available": 7})], END).parts
    assert [(key.resource, key.metric) for key in series] == [(store.key, "storage.available")]
    assert values.tolist() == [7]
    assert sizes_of([], END).parts == []


def test_a_datastore_tells_what_it_knows() -> None:
    known = {"summary.accessible": True, "summary.capacity": 10, "summary.freeSpace": 4}
    assert datastore_sizes(known) == {"storage.capacity": 10, "storage.available": 4, "storage.usage": 6}
    assert datastore_sizes(known | {"summary.uncommitted": 9})["storage.provisioned"] == 15
    assert datastore_sizes(known | {"summary.accessible": False}) == {}
    assert datastore_sizes({"summary.capacity": 10}) == {}


def test_snapshots_are_all_but_the_first_link_of_each_disk_and_their_own_files() -> None:
    files = [Layout.FileInfo(key=key, name="", type="", size=10**key) for key in range(6)]
    disk = Layout.DiskLayout(key=2000, chain=[Layout.DiskUnit(fileKey=[0, 1]), Layout.DiskUnit(fileKey=[2])])
    snapshot = Layout.SnapshotLayout(dataKey=3, memoryKey=-1)
    found = {"layoutEx.file": files, "layoutEx.disk": [disk], "layoutEx.snapshot": [snapshot]}
    assert snapshot_sizes(found) == {"vm.snapshot.usage": 10**2 + 10**3}
    assert snapshot_sizes(found | {"layoutEx.snapshot": None, "layoutEx.disk": []}) == {"vm.snapshot.usage": 0}
    assert snapshot_sizes({}) == {}


@pytest.mark.parametrize(
    ("told", "code"), [("green", 1), ("yellow", 2), ("red", 3), ("unknown", 0), ("skipped", 0), (None, 0), (7, 0)]
)
def test_health_is_a_colour_or_unknown(told: object, code: int) -> None:
    assert health_of(SimpleNamespace(overallHealth=told)) == {"vsan.health": code}
    assert health_of(None) == {"vsan.health": 0}


def test_space_and_resync_may_be_left_unsaid() -> None:
    assert space_of(SimpleNamespace(totalCapacityB=None, freeCapacityB=None)) == {}
    assert space_of(SimpleNamespace(totalCapacityB=5, freeCapacityB=None)) == {"storage.capacity": 5}
    unsaid = resync_of(SimpleNamespace(totalBytesToSync=None, totalObjectsToSync=None))
    assert unsaid == {"vsan.resync.size": 0, "vsan.resync.objects": 0}


def test_performance_has_holes_where_the_service_has_none() -> None:
    (found,) = performance_of([vsan_performance("2027-01-15 07:55:00,2027-01-15 08:00:00", "None,3")], "c")
    assert found.times.tolist() == [END - 300_000, END]
    assert len(found.shape) == len(found.values) == 8
    assert np.isnan(found.values[:, 0]).all()
    assert found.values[:, 1].tolist() == [3] * 8


@pytest.mark.parametrize(
    ("times", "values"),
    [("", "1"), ("yesterday", "1"), ("2027-01-15 08:00:00", "1,2"), ("2027-01-15 08:00:00,", "1,2")],
)
def test_performance_that_is_broken_is_absent(times: str, values: str) -> None:
    assert performance_of([vsan_performance(times, values)], "c") == []


def test_performance_of_another_kind_of_entity_is_not_the_clusters() -> None:
    other = vsan_performance()
    other.entityRefId = "host-domclient:5213c1a0"
    assert performance_of([other], "c") == []
    assert performance_of([], "c") == []
