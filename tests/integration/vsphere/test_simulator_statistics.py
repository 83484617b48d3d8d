"""The statistics of the simulated vCenter: as the vendor's reference says, equal at each asking, wrong on demand."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fixtures.vsphere import Vsphere
from fixtures.vsphere_client import counter_keys, name_of, session, succeeded, view
from pyVmomi import vim, vmodl

Query = vim.PerformanceManager.QuerySpec
Metric = vim.PerformanceManager.MetricId
NEEDED = (
    "cpu.usage.average", "cpu.usagemhz.average", "cpu.ready.summation", "cpu.costop.summation", "mem.usage.average",
    "mem.consumed.average", "mem.active.average", "mem.granted.average", "mem.vmmemctl.average", "mem.swapped.average",
    "mem.compressed.average", "virtualDisk.totalReadLatency.average", "virtualDisk.totalWriteLatency.average",
    "net.received.average", "net.transmitted.average", "power.power.average", "sys.uptime.latest",
)  # fmt: skip


def ask(content: Any, entity: Any, *names: str, interval: int = 20, **more: Any) -> list[Any]:
    keys = counter_keys(content)
    metrics = [Metric(counterId=keys[name], instance="") for name in names]
    answer: list[Any] = content.perfManager.QueryPerf(
        [Query(entity=entity, metricId=metrics, intervalId=interval, **more)]
    )
    return answer


def guests(content: Any) -> list[Any]:
    return sorted(view(content, vim.VirtualMachine).view, key=lambda guest: guest.name)


def times(answer: Sequence[Any]) -> list[datetime]:
    return [info.timestamp for info in answer[0].sampleInfo]


def test_every_counter_that_we_need_is_in_the_catalogue_and_has_values(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        (answer,) = ask(instance.content, guests(instance.content)[0], *NEEDED, maxSample=3)
        assert [len(series.value) for series in answer.value] == [3] * len(NEEDED)
        assert all(value >= 0 for series in answer.value for value in series.value)
        available = instance.content.perfManager.QueryAvailablePerfMetric(guests(instance.content)[0], None, None, 20)
        offered = {metric.counterId for metric in available}
        assert {counter_keys(instance.content)[name] for name in NEEDED} <= offered


def test_samples_are_on_whole_intervals_oldest_first_and_the_same_at_each_asking(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        guest = guests(instance.content)[0]
        answer = ask(instance.content, guest, *NEEDED)
        found = times(answer)
        assert 179 <= len(found) <= 181  # an hour
        assert found == sorted(found)
        assert all(when.timestamp() % 20 == 0 for when in found)
        start, end = found[10], found[13]
        part = ask(instance.content, guest, *NEEDED, startTime=start, endTime=end)
        assert times(part) == found[11:14]  # the sample at startTime is not among them, the one at endTime is
        for whole, piece in zip(answer[0].value, part[0].value, strict=True):
            assert whole.value[11:14] == piece.value


def test_csv_says_the_same_as_numbers(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        host = view(instance.content, vim.HostSystem).view[0]
        end = datetime.now(UTC)
        names = ("cpu.usage.average", "mem.consumed.average")
        numbers = ask(instance.content, host, *names, maxSample=3, endTime=end)[0]
        text = ask(instance.content, host, *names, maxSample=3, endTime=end, format="csv")[0]
        assert [[int(value) for value in series.value.split(",")] for series in text.value] == [
            list(series.value) for series in numbers.value
        ]
        assert text.sampleInfoCSV.split(",")[::2] == ["20"] * 3


def test_quick_statistics_agree_with_the_samples(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        guest = guests(instance.content)[3]
        stats = guest.summary.quickStats
        (answer,) = ask(instance.content, guest, "cpu.usagemhz.average", "mem.consumed.average", maxSample=2)
        assert stats.overallCpuUsage in answer.value[0].value
        assert stats.hostMemoryUsage in [value >> 10 for value in answer.value[1].value]
        assert stats.guestHeartbeatStatus == "green"


def test_what_is_off_has_no_samples(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        guest = guests(instance.content)[1]
        succeeded(guest.PowerOff())
        assert ask(instance.content, guest, "cpu.usage.average", maxSample=3) == []
        succeeded(guest.PowerOn())
        vcenter.knobs(no_samples=[name_of(guest)])
        assert ask(instance.content, guest, "cpu.usage.average", maxSample=3) == []
        vcenter.knobs()
        assert len(ask(instance.content, guest, "cpu.usage.average", maxSample=3)) == 1


def test_clusters_and_datastores_have_historical_statistics_only(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        content = instance.content
        assert [each.samplingPeriod for each in content.perfManager.historicalInterval] == [300, 1800, 7200, 86400]
        begin = datetime.now(UTC) - timedelta(hours=1)
        for kind in (vim.ClusterComputeResource, vim.Datastore):
            entity = view(content, kind).view[0]
            available = content.perfManager.QueryAvailablePerfMetric(entity, None, None, 300)
            query = Query(entity=entity, metricId=available[:2], intervalId=300, startTime=begin)
            (answer,) = content.perfManager.QueryPerf([query])
            assert 11 <= len(answer.sampleInfo) <= 12
            query.intervalId = 20
            with pytest.raises(vmodl.fault.InvalidArgument):
                content.perfManager.QueryPerf([query])
        with pytest.raises(vmodl.fault.InvalidArgument):
            ask(content, guests(content)[0], "cpu.usage.average", interval=60)


def test_more_historical_metrics_than_allowed_are_refused_with_the_vendors_fault(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        content = instance.content
        cluster = view(content, vim.ClusterComputeResource).view[0]
        available = content.perfManager.QueryAvailablePerfMetric(cluster, None, None, 300)[:10]
        begin = datetime.now(UTC) - timedelta(hours=1)
        query = Query(entity=cluster, metricId=available, intervalId=300, startTime=begin)
        (setting,) = content.setting.QueryOptions("config.vpxd.stats.maxQueryMetrics")
        assert setting.value == "256"
        assert len(content.perfManager.QueryPerf([query] * 25)) == 25
        with pytest.raises(vim.fault.RestrictedByAdministrator, match=r"vpxd\.stats\.maxQueryMetrics"):
            content.perfManager.QueryPerf([query] * 26)
        vcenter.knobs(max_query_metrics=64)
        (setting,) = content.setting.QueryOptions("config.vpxd.stats.maxQueryMetrics")
        assert setting.value == "64"
        with pytest.raises(vim.fault.RestrictedByAdministrator):
            content.perfManager.QueryPerf([query] * 7)
        vcenter.knobs(max_query_metrics=-1)
        assert len(content.perfManager.QueryPerf([query] * 30)) == 30
        # Real-time statistics are not restricted.
        vcenter.knobs(max_query_metrics=1)
        assert len(ask(content, guests(content)[0], *NEEDED, maxSample=1)) == 1


def test_late_values_come_later_and_are_the_same_then(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        content = instance.content
        store = view(content, vim.Datastore).view[0]
        available = content.perfManager.QueryAvailablePerfMetric(store, None, None, 300)[:1]
        begin = datetime.now(UTC) - timedelta(hours=2)
        query = Query(entity=store, metricId=available, intervalId=300, startTime=begin)
        whole = content.perfManager.QueryPerf([query])
        vcenter.knobs(late_seconds={"Datastore": 1800})
        late = content.perfManager.QueryPerf([query])
        assert len(times(whole)) - len(times(late)) in (5, 6, 7)
        assert whole[0].value[0].value[: len(times(late))] == late[0].value[0].value


def test_values_are_negative_or_no_numbers(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        guest = guests(instance.content)[0]
        vcenter.knobs(negative=["mem.usage.average"], nan=["cpu.usage.average"])
        names = ("cpu.usage.average", "mem.usage.average", "cpu.ready.summation")
        (answer,) = ask(instance.content, guest, *names, maxSample=2, format="csv")
        assert [series.value for series in answer.value][:2] == ["NaN,NaN", "-1,-1"]
        assert min(map(int, answer.value[2].value.split(","))) >= 0
        with pytest.raises(ValueError, match="NaN"):  # as numbers, pyvmomi itself does not take it
            ask(instance.content, guest, *names, maxSample=2)
