"""Collector `host`: the machine on which the satellite runs, read through psutil and /proc.

The one promise: a cycle ends in time even when a network filesystem hangs; then only that filesystem is missing.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar

from satellite.collector import Check, Collector, Context, PollPlan, Privilege, Progress
from satellite.collectors.host.client import FIRST_INTERVAL, Machine, Usage
from satellite.collectors.host.config import HostConfig
from satellite.collectors.host.inventory import discover
from satellite.collectors.host.metrics import HostMetrics
from satellite.collectors.host.readiness import readiness
from satellite.collectors.host.starts import Starts
from shared.model import Action, ActionResult, Event, Inventory, Readings

__all__ = ["HostCollector"]

log = logging.getLogger(__name__)


class HostCollector(Collector):
    """This machine: one resource of kind host, whose disks, interfaces and filesystems are attributes of its series."""

    kind: ClassVar[str] = "host"
    Config: ClassVar[type[HostConfig]] = HostConfig
    capabilities: ClassVar[frozenset[str]] = frozenset({"metrics", "inventory"})
    privileges: ClassVar[Sequence[Privilege]] = (
        Privilege(
            "read access to /sys/class/dmi/id/product_uuid (root)",
            "recognising this machine as the guest that its hypervisor reports",
        ),
    )

    config: HostConfig

    def __init__(self, config: HostConfig, context: Context) -> None:
        super().__init__(config, context)
        self._machine = Machine()
        self._starts = Starts()
        self._metrics: HostMetrics | None = None

    @property
    def plans(self) -> Sequence[PollPlan]:
        """One plan, `fast`: every reading comes from the local kernel."""
        return (PollPlan("fast", self.config.interval, self.config.interval),)

    async def open(self) -> None:
        """Find out which machine this is and take the first look at its CPU counters. Raises SourceError."""
        inventory = await self.discover()
        self._metrics = HostMetrics(inventory.resources[0].key, self._starts)
        await self.context.call(self._machine.mark)

    async def check(self) -> Sequence[Check]:
        """Return what can be read here, and the fix for what can't."""
        return await readiness(self.context)

    async def discover(self) -> Inventory:
        """Return the machine with its facts and identity claims. Raises SourceError."""
        return await self.context.call(discover)

    async def collect(self, plan: str) -> Readings:
        """Return all readings of one instant; what this machine lacks is absent. Raises SourceError."""
        if plan != "fast":
            raise ValueError(f"the collector host has no poll plan {plan!r}")
        if self._metrics is None:
            await self.open()
            assert self._metrics is not None
        remote = await self._remote_usage()
        if (wait := FIRST_INTERVAL - self._machine.since_last()) > 0:
            await asyncio.sleep(wait)  # CPU counters tick 100 times a second: a shorter interval says nothing
        snapshot = await self.context.call(self._machine.read, self.context.now_ms)
        return self._metrics.readings(snapshot, remote)

    async def _remote_usage(self) -> Sequence[Usage]:
        """Ask the network filesystems, at most one call at a time: a hung one holds a single thread, and no cycle."""
        if not self._machine.remote.ready():
            return ()
        patience = min(2.0, self.config.interval / 4)
        return await _within(patience, asyncio.ensure_future(self.context.call(self._machine.remote.read)))

    async def events(self, after: str | None) -> AsyncIterator[Event]:  # noqa: ARG002
        """Yield nothing: a machine does not report what happens to it."""
        nothing: tuple[Event, ...] = ()
        for event in nothing:
            yield event

    async def act(self, action: Action, progress: Progress) -> ActionResult:  # noqa: ARG002
        """Refuse: this collector only reads."""
        return ActionResult(False, f"the collector host only reads; it can't carry out {action.verb!r}")

    async def close(self) -> None:
        """Forget the machine; there is nothing to let go of."""
        self._metrics = None


async def _within(seconds: float, call: "asyncio.Future[Sequence[Usage]]") -> Sequence[Usage]:
    """Return the call's answer, or nothing when it fails or takes longer: then it goes on and is forgotten."""
    done, _ = await asyncio.wait({call}, timeout=seconds)
    if done and call.exception() is None:
        return call.result()
    call.add_done_callback(_forget)
    return ()


def _forget(call: "asyncio.Future[Any]") -> None:
    error = None if call.cancelled() else call.exception()
    if error is not None:
        log.debug("network filesystems were not read: %s", error)
