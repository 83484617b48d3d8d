"""From a simulated vCenter to PostgreSQL: satellite and gateway as processes; what vCenter says is in the database."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from fixtures.stack import Stack, stack, start_gateway
from fixtures.vsphere import USER, Size, Vsphere, simulated
from fixtures.vsphere_client import session, succeeded, view
from fixtures.waiting import wait_for
from pyVmomi import vim

from metaconsole.store import database, dictionary, query, resources
from metaconsole.store.scope import EVERYTHING

_HOUR: Final = 3_600_000
SIZE: Final = Size(clusters=1, hosts=2, guests=4)
KINDS: Final = {
    "host": (vim.HostSystem,),
    "datastore": (vim.Datastore,),
    "network": (vim.Network, vim.DistributedVirtualSwitch),
}
# Of each plan something: what is known without asking, by the hosts' memory, and by vCenter's history.
METRICS: Final = {
    "guest": {"resource.state", "system.cpu.utilization", "vm.cpu.ready.utilization", "system.disk.io.rate"},
    "cluster": {"resource.state", "system.cpu.usage", "vsan.health"},
    "datastore": {"resource.state", "storage.capacity"},
}


@pytest.fixture(scope="module")
def server() -> Iterator[Vsphere]:
    with simulated(SIZE, vsan=True) as server:
        yield server


@pytest.fixture
def made(tmp_path: Path, server: Vsphere) -> Iterator[Stack]:
    with stack(tmp_path) as made:
        start_gateway(made)
        readers = made.readers()
        readers.start()
        config = made.satellite("lab", {"vcenter": "vsphere"})
        with config.open("a", encoding="utf-8") as file:
            file.write(
                f'host = "127.0.0.1"\nport = {server.port}\nuser = "{USER}"\nca_file = "{server.ca_file}"\n'
                f'password_file = "{server.folder / "password"}"\ninterval = 20\nhistory_interval = 60\n'
            )
        satellite = made.program("satellite", "shared.cli", "satellite", "run", "--config", str(config))
        satellite.start()
        yield made
        for program in (readers, satellite):
            assert program.running(), program.tail()


class Stored:
    """What the database holds."""

    def __init__(self, url: str) -> None:
        self._url = url

    def rows(self, kind: str) -> Sequence[resources.ResourceRow]:
        with database.connect(self._url) as connection:
            return resources.list_resources(connection, EVERYTHING, resources.Filter(kind=kind)).items

    def named(self, name: str) -> resources.ResourceRow | None:
        return next((row for row in self.rows("guest") if row.name == name), None)

    def state(self, name: str) -> str:
        row = self.named(name)
        return "" if row is None else row.state

    def samples(self, resource: str) -> Mapping[str, int]:
        """Return how many samples there are of each metric."""
        now = asyncio.run(self._now())
        with database.connect(self._url) as connection:
            series = dictionary.series_of(connection, EVERYTHING, [resource])
            columns = query.read(connection, EVERYTHING, series, now - _HOUR, now + _HOUR)
        counted: dict[str, int] = {}
        for one in series:
            counted[one.metric] = counted.get(one.metric, 0) + len(columns.of(one.series_id)[0])
        return counted

    def has(self, resource: str, metrics: AbstractSet[str]) -> bool:
        """Tell whether there is a sample of each metric."""
        return metrics <= {metric for metric, count in self.samples(resource).items() if count}

    def events(self, resource: str) -> set[str]:
        with database.connect(self._url) as connection:
            found, _ = resources.events(connection, EVERYTHING, resource)
        return {event.type for event in found}

    async def _now(self) -> int:
        async with database.connected(self._url, application="test") as connection:
            row = await (await connection.execute("SELECT extract(epoch FROM now()) * 1000")).fetchone()
        assert row is not None
        return int(row[0])


def test_the_database_says_what_vcenter_says(made: Stack, server: Vsphere) -> None:
    stored = Stored(made.database.url)
    with session(server) as instance:
        content = instance.content
        wait_for(lambda: names(stored, "guest") == told(content, vim.VirtualMachine), 30, "all guests are there")
        for kind, types in KINDS.items():
            assert names(stored, kind) == told(content, *types), kind
        for kind, metrics in METRICS.items():
            wait_for(partial(stored.has, stored.rows(kind)[0].id, metrics), 40, f"the metrics of a {kind} are there")
        guest = view(content, vim.VirtualMachine).view[0]
        name = guest.name
        (before,) = [row for row in stored.rows("guest") if row.name == name]
        succeeded(guest.PowerOff())
        wait_for(lambda: stored.state(name) == "stopped", 5, "the guest is stopped in the database")
        succeeded(guest.Rename("renamed"))
        wait_for(lambda: stored.named("renamed") is not None, 5, "and has another name")
        after = stored.named("renamed")
        assert after is not None
        assert after.id == before.id
        wait_for(lambda: {"guest.stopped", "guest.renamed"} <= stored.events(after.id), 25, "what happened is told")


def names(stored: Stored, kind: str) -> list[str]:
    return sorted(row.name for row in stored.rows(kind))


def told(content: Any, *types: Any) -> list[str]:
    return sorted(each.name for each in view(content, *types).view)
