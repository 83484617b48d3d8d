"""One guest is one resource with one continuous history, whatever happens to it: from the collector to PostgreSQL."""

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any, Final

from fixtures.log import Site, open_session
from fixtures.vsphere import Size, simulated
from fixtures.vsphere_client import session, succeeded, view
from fixtures.vsphere_following import Followed, collector, followed, guest_named
from pyVmomi import vim

from metaconsole.store.database import connected, transaction
from metaconsole.store.definitions import Definition
from metaconsole.store.inventory import apply_inventory
from metaconsole.store.series import define_series, register_metrics
from satellite.inventory import InventoryTracker
from shared.model import Inventory, Readings

STATE: Final = "resource.state"


class Metaconsole:
    """Takes what a source tells, as the gateway does: inventory by deltas, series by definitions of an epoch each."""

    def __init__(self, site: Site, source: str, following: Followed) -> None:
        self._site, self._source, self.following = site, source, following
        self._tracker = InventoryTracker(source)

    def take_inventory(self) -> Inventory:
        inventory = self.following.inventory
        now = self.following.collector.context.now_ms()
        deltas = self._tracker.update(inventory, now)

        async def store() -> None:
            async with connected(self._site.url, application="test") as connection:
                for delta in deltas:
                    async with transaction(connection):
                        await apply_inventory(connection, self._site.site_id, delta)

        asyncio.run(store())
        return inventory

    def series_of(self, key: str) -> int:
        """Return the series of the states of a resource, as the metaconsole numbers it in a new epoch."""
        readings: Readings = self.following.readings()
        (block,) = (block for block in readings.blocks if block.layout.metric == STATE)
        keys = [series.resource for series in block.layout.series]
        defined = asyncio.run(self._define([(str(one.kind), one.key) for one in keys]))
        return next(number for number, one in zip(defined, keys, strict=True) if one.key == key)

    async def _define(self, keys: Sequence[tuple[str, str]]) -> list[int]:
        epoch = uuid.uuid4()
        async with connected(self._site.url, application="test") as connection:
            metric = (await register_metrics(connection, [STATE]))[STATE]
            sender = await open_session(connection, self._site, epoch)
            wanted = [Definition(self._source, kind, key, metric, ()) for kind, key in keys]
            found = await define_series(connection, self._site.site_id, sender.satellite_id, epoch, 1, wanted)
            return [int(number) for number in found.series]


def history(site: Site, key: str) -> list[tuple[str, bool]]:
    """Return the names of a guest with whether the next version begins where this one ends; of one resource."""
    rows = site.rows(
        "SELECT name, valid_from, valid_to, resource_id FROM resource_version WHERE kind = 'guest' AND resource_id IN "
        f"(SELECT resource_id FROM identity_claim WHERE value = '{key}') ORDER BY valid_from"
    )
    assert len({row[3] for row in rows}) == 1
    ends = [row[1] for row in rows[1:]] + [None]
    return [(row[0], row[2] == end) for row, end in zip(rows, ends, strict=True)]


def guest_of(content: Any, name: str) -> Any:
    return next(guest for guest in view(content, vim.VirtualMachine).view if guest.name == name)


def test_a_guest_renamed_moved_and_registered_anew_is_one_resource_with_one_graph(site: Site) -> None:
    with simulated(Size(hosts=2, guests=3)) as server, session(server) as instance:
        with followed(collector(server)) as following:
            metaconsole = Metaconsole(site, "vcenter", following)
            guest = guest_of(instance.content, "DC0_C0_RP0_VM0")
            key = guest.config.instanceUuid
            metaconsole.take_inventory()
            first = metaconsole.series_of(key)
            succeeded(guest.Rename("renamed"))
            following.sees(lambda inventory: guest_named(inventory, "renamed"), "the name")
            metaconsole.take_inventory()
            there = next(host for host in guest.runtime.host.parent.host if host != guest.runtime.host)
            succeeded(guest.Relocate(vim.vm.RelocateSpec(host=there)))
            folder = guest.parent.CreateFolder("elsewhere")
            succeeded(folder.MoveIntoFolder_Task([guest]))
            succeeded(guest.PowerOff())
            path, pool = guest.config.files.vmPathName, guest.resourcePool
            guest.Unregister()
            following.sees(lambda inventory: not guest_named(inventory, "renamed"), "it is gone")
            metaconsole.take_inventory()
            succeeded(folder.RegisterVM_Task(path, "back", False, pool, None))
            following.sees(lambda inventory: guest_named(inventory, "back"), "it is back")
            metaconsole.take_inventory()
            back = guest_of(instance.content, "back")
            back.MarkAsTemplate()
            following.sees(lambda _: following.guest("back").attributes.get("guest.template"), "a template")
            metaconsole.take_inventory()
            assert metaconsole.series_of(key) == first
        names = history(site, key)
        assert [name for name, _ in names] == [
            "DC0_C0_RP0_VM0",
            "renamed",
            *["renamed"] * (len(names) - 4),
            "back",
            "back",
        ]
        # The only break is the time for which it was not registered.
        assert [whole for _, whole in names].count(False) == 1
        assert site.rows("SELECT count(*) FROM resource WHERE kind = 'guest'") == [(3,)]
        assert site.rows("SELECT count(*) FROM relation WHERE type = 'same_as'") == [(0,)]


def test_a_guest_that_moves_to_another_vcenter_is_one_resource_with_one_graph(site: Site) -> None:
    with (
        simulated(Size(hosts=1, guests=2)) as here,
        simulated(Size(hosts=1, guests=1)) as there,
        session(here) as old,
        session(there) as new,
        followed(collector(here)) as before,
        followed(collector(there)) as after,
    ):
        first, second = Metaconsole(site, "one", before), Metaconsole(site, "two", after)
        first.take_inventory()
        second.take_inventory()
        guest = guest_of(old.content, "DC0_C0_RP0_VM1")
        key, bios, name = guest.config.instanceUuid, guest.config.uuid, guest.name
        series = first.series_of(key)
        neighbour = guest_of(new.content, "DC0_C0_RP0_VM0")
        spec = vim.vm.ConfigSpec(
            name=name, uuid=bios, instanceUuid=key, numCPUs=1, memoryMB=64,
            files=vim.vm.FileInfo(vmPathName=f"[LocalDS_0] moved/{name}.vmx"),
        )  # fmt: skip
        succeeded(neighbour.parent.CreateVM_Task(spec, neighbour.resourcePool, None))
        succeeded(guest.PowerOff())
        guest.Unregister()
        after.sees(lambda inventory: guest_named(inventory, name), "it is in the other vCenter")
        # Whichever comes first, what is measured or what exists, it is who it was.
        assert second.series_of(key) == series
        second.take_inventory()
        before.sees(lambda inventory: not guest_named(inventory, name), "it is gone here")
        first.take_inventory()
        assert second.series_of(key) == series
    assert history(site, key) == [(name, True), (name, True)]
    assert site.rows("SELECT count(*) FROM resource WHERE kind = 'guest'") == [(3,)]
    open_at = site.rows(
        "SELECT source.name FROM resource_version version JOIN source USING (site_id, source_id) "
        f"WHERE version.name = '{name}' AND kind = 'guest' AND valid_to IS NULL"
    )
    assert open_at == [("two",)]
