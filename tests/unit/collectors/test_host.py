"""The collector `host`: what psutil says becomes the catalogue's readings, and nothing hangs."""

import asyncio
import socket
import threading
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from fixtures.waiting import wait_until

from satellite.collectors.host import HostCollector, client, inventory, virtualization
from satellite.collectors.host.config import HostConfig
from satellite.testing import LocalContext
from shared.catalogue import catalogue
from shared.model import Action, Kind, Readings, ResourceKey, SeriesKey, State

Times = namedtuple("Times", "user nice system idle iowait irq softirq steal")  # noqa: PYI024 - as psutil's


def values(readings: Readings) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (key.metric, key.attributes): value
        for block in readings.blocks
        for key, value in zip(block.layout.series, block.values.tolist(), strict=True)
    }


def collect(cycles: int = 1) -> Readings:
    async def body() -> Readings:
        collector = HostCollector(HostConfig(), LocalContext())
        await collector.open()
        for _ in range(cycles):
            readings = await collector.collect("fast")
        return readings

    return asyncio.run(body())


def test_first_batch_has_a_utilization_and_counters_agree_with_proc() -> None:
    def modes() -> list[float]:
        words = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
        return [int(word) / 100 for word in words]

    before, found, after = modes(), values(collect()), modes()
    assert 0 <= found["system.cpu.utilization", ()] <= 1
    for place, mode in enumerate(("user", "nice", "system", "idle", "iowait")):
        value = found["system.cpu.time", (("cpu.mode", mode),)]
        assert before[place] - 0.02 <= value <= after[place] + 0.02
    memory = [value for (metric, _), value in found.items() if metric == "system.memory.usage"]
    assert sum(memory) == found["system.memory.limit", ()]
    processes = {attributes: value for (metric, attributes), value in found.items() if metric == "system.process.count"}
    assert processes.pop(()) == sum(processes.values()) > 0


def test_utilization_counts_neither_idle_nor_waiting() -> None:
    before = Times(10, 0, 5, 100, 20, 0, 0, 0)
    after = Times(12, 0, 6, 104, 22, 0.5, 0.5, 0)
    assert client.utilization(before, after) == pytest.approx(0.4)
    assert client.utilization(before, before) is None
    assert client.utilization(after, before) is None


def test_a_cpu_that_is_off_line_keeps_the_others_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "0,2-3\n")
    assert client._online() == [0, 2, 3]


def test_temperatures_and_swap_where_present(monkeypatch: pytest.MonkeyPatch) -> None:
    sensors = {"coretemp": [SimpleNamespace(label="Core", current=41.5), SimpleNamespace(label="Core", current=43.0)]}
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: sensors)
    swap = SimpleNamespace(total=100, used=25, free=75, sin=7, sout=8)
    monkeypatch.setattr(psutil, "swap_memory", lambda: swap)
    found = values(collect())
    assert found["hw.temperature", (("hw.id", "coretemp-1"), ("hw.name", "Core"))] == 41.5
    assert found["hw.temperature", (("hw.id", "coretemp-2"), ("hw.name", "Core"))] == 43.0
    assert found["system.paging.utilization", ()] == 0.25
    assert found["system.paging.io", (("system.paging.direction", "out"),)] == 8


def test_a_hung_network_filesystem_is_missing_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    asked: list[str] = []
    ask = psutil.disk_usage

    def usage(path: str) -> object:
        if path == "/far":
            asked.append(path)
            released.wait(30)
            return SimpleNamespace(total=100, used=40, free=50)
        return ask(path)

    far = SimpleNamespace(device="server:/far", mountpoint="/far", fstype="nfs4")
    local = psutil.disk_partitions(all=False)
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: [*local, far])
    monkeypatch.setattr(psutil, "disk_usage", usage)

    def mounted(readings: Readings) -> bool:
        return any(("system.filesystem.mountpoint", "/far") in attributes for _, attributes in values(readings))

    async def body() -> None:
        collector = HostCollector(HostConfig(interval=1), LocalContext())
        try:
            async with asyncio.timeout(20):
                for _ in range(3):
                    readings = await collector.collect("fast")
                    assert not mounted(readings)
                    assert ("system.cpu.utilization", ()) in values(readings)
            assert asked == ["/far"]  # one thread waits for it, never a second
        finally:
            released.set()
        await wait_until(collector._machine.remote.ready, 5, "the hung filesystem answers")
        found = values(await collector.collect("fast"))
        which = (
            ("system.device", "server:/far"),
            ("system.filesystem.mountpoint", "/far"),
            ("system.filesystem.type", "nfs4"),
        )
        assert found["system.filesystem.utilization", which] == pytest.approx(40 / 90)

    asyncio.run(body())


def test_each_device_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = [
        SimpleNamespace(device="/dev/vda1", mountpoint="/var/lib/bound", fstype="ext4"),
        SimpleNamespace(device="/dev/vda1", mountpoint="/", fstype="ext4"),
        SimpleNamespace(device="/dev/loop3", mountpoint="/snap/core", fstype="squashfs"),
        SimpleNamespace(device="server:/x", mountpoint="/x", fstype="nfs"),
    ]
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: mounts)
    assert [part.mountpoint for part in client.local_mounts()] == ["/"]
    assert [part.mountpoint for part in client.remote_mounts()] == ["/x"]


def test_the_machine_is_one_host_with_claims(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "first")
    monkeypatch.setattr(inventory, "_DMI", tmp_path)
    (tmp_path / "product_uuid").write_text("4C4C4544-0042-3010-8051-B7C04F4A3232\n", encoding="ascii")
    monkeypatch.setattr(inventory, "_MACHINE_IDS", (tmp_path / "machine-id",))
    (tmp_path / "machine-id").write_text("3d1219c7c4c5404aaa1f6d2a48adfda4\n", encoding="ascii")
    (machine,) = inventory.discover().resources
    assert machine.key == ResourceKey(Kind.HOST, "3d1219c7c4c5404aaa1f6d2a48adfda4")
    assert (machine.name, machine.state) == ("first", State.UP)
    claims = {claim.type: claim.value for claim in machine.claims}
    assert claims["dmi_uuid"] == "4c4c4544-0042-3010-8051-b7c04f4a3232"
    assert claims["machine_id"] == machine.key.key
    assert machine.attributes["os.type"] == "linux"


def test_without_a_machine_id_the_key_still_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(inventory, "_MACHINE_IDS", (tmp_path / "missing",))
    (first,) = inventory.discover().resources
    (second,) = inventory.discover().resources
    assert first.key == second.key
    assert "machine_id" not in {claim.type for claim in first.claims}


@pytest.mark.parametrize(
    "text", ["", "no uuid", "00000000-0000-0000-0000-000000000000", "03000200-0400-0500-0006-000700080009", "F" * 32]
)
def test_a_firmwares_placeholder_is_no_identity(text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(inventory, "_DMI", tmp_path)
    (tmp_path / "product_uuid").write_text(text, encoding="ascii")
    assert inventory.dmi_uuid() is None


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"sys_vendor": "QEMU", "product_name": "Standard PC (i440FX + PIIX, 1996)"}, "qemu"),
        ({"sys_vendor": "VMware, Inc.", "product_name": "VMware7,1"}, "vmware"),
        ({"sys_vendor": "Microsoft Corporation", "product_name": "Virtual Machine"}, "microsoft"),
        ({"sys_vendor": "Amazon EC2", "product_name": "t3.micro"}, "amazon"),
        ({"cpuinfo": "processor : 0\nflags\t\t: fpu hypervisor sse\n"}, "vm-other"),
        ({"sys_vendor": "Dell Inc.", "cpuinfo": "flags\t\t: fpu sse\n"}, "none"),
    ],
)
def test_virtualization_is_told_from_files(files: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtualization, "read_text", lambda path: files.get(path.name, ""))
    assert virtualization.virtualization() == name


def test_actions_are_refused_and_events_end() -> None:
    async def body() -> None:
        collector = HostCollector(HostConfig(), LocalContext())
        result = await collector.act(Action("1", ResourceKey(Kind.HOST, "x"), "reboot"), lambda _share, _what: None)
        assert (result.succeeded, "reboot" in result.message) == (False, True)
        assert [event async for event in collector.events(None)] == []
        with pytest.raises(ValueError, match="no poll plan 'slow'"):
            await collector.collect("slow")

    asyncio.run(body())


def test_layout_is_the_same_object_until_the_series_change(monkeypatch: pytest.MonkeyPatch) -> None:
    interfaces = psutil.net_io_counters(pernic=True)
    (one, *_) = interfaces.values()
    shown = dict(interfaces)
    monkeypatch.setattr(psutil, "net_io_counters", lambda **_: shown)

    async def body() -> None:
        collector = HostCollector(HostConfig(), LocalContext())

        async def layouts() -> dict[str, object]:
            return {block.layout.metric: block.layout for block in (await collector.collect("fast")).blocks}

        first, second = await layouts(), await layouts()
        assert all(first[metric] is second[metric] for metric in first)
        shown["eth9"] = one
        third = await layouts()
        assert third["system.network.io"] is not first["system.network.io"]
        assert third["system.cpu.time"] is first["system.cpu.time"]
        key = SeriesKey(
            ResourceKey(Kind.HOST, inventory.discover().resources[0].key.key),
            "system.network.io",
            (("network.interface.name", "eth9"), ("network.io.direction", "receive")),
        )
        assert key in third["system.network.io"].series  # type: ignore[attr-defined]

    asyncio.run(body())


def test_counters_begin_at_the_boot_and_those_of_a_new_interface_when_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = psutil.net_io_counters(pernic=True)["lo"]
    names = ["lo"]
    monkeypatch.setattr(psutil, "net_io_counters", lambda **_: dict.fromkeys(names, counted))
    boot_ms = int(psutil.boot_time() * 1000)

    async def body() -> tuple[list[Readings], set[str]]:
        collector = HostCollector(HostConfig(), LocalContext())
        found = [await collector.collect("fast")]
        names.append("wg0")
        found.append(await collector.collect("fast"))
        await collector.open()  # as after an error: a start does not move
        monkeypatch.setattr(psutil, "boot_time", lambda: 1.0)
        found.append(await collector.collect("fast"))
        return found, {block.layout.metric for block in found[0].blocks if block.starts is not None}

    found, with_starts = asyncio.run(body())
    assert {"system.cpu.time", "system.paging.io", "system.network.io"} <= with_starts
    assert all(catalogue()[metric].kind == "counter" for metric in with_starts)
    first, *later = (starts(readings) for readings in found)
    assert set(first.values()) == {boot_ms}
    came = int(found[0].times[0])
    for after in later:
        young = {key for key in after if ("network.interface.name", "wg0") in key[1]}
        assert {after[key] for key in young} == {came}
        assert {start for key, start in after.items() if key not in young} == {boot_ms}


def starts(readings: Readings) -> dict[tuple[str, tuple[tuple[str, str], ...]], int]:
    return {
        (key.metric, key.attributes): start
        for block in readings.blocks
        if block.starts is not None
        for key, start in zip(block.layout.series, block.starts.tolist(), strict=True)
    }
