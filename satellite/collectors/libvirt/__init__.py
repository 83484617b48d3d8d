"""Collector `libvirt`: a host with its guests, storage pools and networks, over one read-only connection to libvirt.

The one promise: one bulk call reads all guests of a QEMU host, and one broken or busy guest never costs the others.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar, Final

from satellite.blocks import Blocks
from satellite.collector import (
    Check,
    Collector,
    Context,
    PollPlan,
    Privilege,
    Progress,
    SourceError,
    SourceUnreachableError,
)
from satellite.collectors.libvirt.client import Client
from satellite.collectors.libvirt.config import LibvirtConfig
from satellite.collectors.libvirt.events import EventFeed
from satellite.collectors.libvirt.inventory import Host, inventory, read_host
from satellite.collectors.libvirt.metrics import GuestMetrics, HostMetrics, add_storage
from satellite.collectors.libvirt.readiness import readiness
from satellite.collectors.libvirt.storage import Storage
from shared.model import Action, ActionResult, Event, Inventory, Readings

__all__ = ["LibvirtCollector"]

log = logging.getLogger(__name__)

_CAPACITY_INTERVAL: Final = 60.0  # seconds
_CAPACITY_DEADLINE: Final = 30.0
_GOODBYE: Final = 0.9


class LibvirtCollector(Collector):
    """One libvirt URI: its host, guests, storage pools and networks."""

    kind: ClassVar[str] = "libvirt"
    Config: ClassVar[type[LibvirtConfig]] = LibvirtConfig
    capabilities: ClassVar[frozenset[str]] = frozenset({"metrics", "inventory", "events"})
    privileges: ClassVar[Sequence[Privilege]] = (
        Privilege(
            "read-only connection to libvirt (group libvirt, or org.libvirt.unix.monitor of polkit)", "everything"
        ),
    )

    config: LibvirtConfig

    def __init__(self, config: LibvirtConfig, context: Context) -> None:
        super().__init__(config, context)
        self._client = Client(config.uri)
        self._feed = EventFeed()
        self._host: Host | None = None
        self._start()

    @property
    def plans(self) -> Sequence[PollPlan]:
        """`fast` reads host and guests, `capacity` storage pools and networks, which change slowly."""
        slow = max(self.config.interval, _CAPACITY_INTERVAL)
        return (
            PollPlan("fast", self.config.interval, self.config.interval),
            PollPlan("capacity", slow, min(slow, _CAPACITY_DEADLINE)),
        )

    async def open(self) -> None:
        """Connect and listen to events. Raises SourceError."""
        await self.close()
        self._start()
        self._feed.open()
        try:
            await self.context.call(self._client.open, self._happened)
            self._host = await self.context.call(read_host, self._client)
        except BaseException:
            await self.close()
            raise

    async def check(self) -> Sequence[Check]:
        """Return what libvirt allows here, on a connection of its own."""
        return await self.context.call(readiness, self.config.uri)

    async def discover(self) -> Inventory:
        """Return host, guests, pools and networks. Raises SourceError."""
        return await self.context.call(self._discover)

    async def collect(self, plan: str) -> Readings:
        """Return the readings of a plan. Raises SourceError."""
        if plan == "fast":
            return await self._collect_fast()
        if plan == "capacity":
            return await self._collect_capacity()
        raise ValueError(f"the collector libvirt has no poll plan {plan!r}")

    def events(self, after: str | None) -> AsyncIterator[Event]:  # noqa: ARG002 - libvirt keeps no history
        """Yield lifecycle events as libvirt reports them, until closed."""
        return self._feed.events()

    async def act(self, action: Action, progress: Progress) -> ActionResult:  # noqa: ARG002
        """Refuse: this collector only reads."""
        return ActionResult(False, f"the collector libvirt only reads; it can't carry out {action.verb!r}")

    async def close(self) -> None:
        """Let go of the connection; libvirt's goodbye gets a second at most."""
        self._feed.close()
        self._host = None
        if not self._client.abandon():
            return
        try:
            async with asyncio.timeout(_GOODBYE):
                await self.context.call(self._client.leave)
        except (TimeoutError, SourceError) as error:
            log.debug("the connection to %s is closed when the next is opened: %r", self.config.uri, error)

    def _start(self) -> None:
        """Begin with empty memories: what was true of the last connection need not be true of the next."""
        self._blocks, self._capacity_blocks = Blocks(), Blocks()
        self._guests = GuestMetrics(self.config.interval)
        self._host_metrics: HostMetrics | None = None
        self._storage = Storage(self._client)

    def _connected_host(self) -> Host:
        if self._host is None:
            raise SourceUnreachableError(f"libvirt at {self.config.uri} is not connected")
        return self._host

    def _discover(self) -> Inventory:
        host = self._connected_host()
        pools, networks = self._storage.read(defined=True)
        return inventory(host, self._client.answer(self.context.now_ms).guests, pools, networks)

    async def _collect_fast(self) -> Readings:
        host = self._connected_host()
        answer = await self.context.call(self._client.answer, self.context.now_ms)
        # Here and not in the thread: one that returns after its deadline must not touch what later cycles build on.
        if self._host_metrics is None:
            self._host_metrics = HostMetrics(host.key)
        self._host_metrics.add(self._blocks, answer)
        self._guests.add(self._blocks, answer)
        return self._blocks.readings(answer.time_ms)

    async def _collect_capacity(self) -> Readings:
        self._connected_host()
        time_ms = self.context.now_ms()
        pools, networks = await self.context.call(self._storage.read, False)
        add_storage(self._capacity_blocks, pools, networks)
        return self._capacity_blocks.readings(time_ms)

    def _happened(self, uuid: str, name: str, event: int, detail: int) -> None:
        """Take a lifecycle event, in libvirt's own thread."""
        self._feed.offer(self._feed.make(self.context.now_ms(), uuid, name, event, detail))
