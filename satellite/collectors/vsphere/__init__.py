"""Collector `vsphere`: a vCenter or an ESXi host, over one session.

The one promise: the inventory is read once; after that the server tells what changes, and nothing is read again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import ClassVar, Final

from satellite.collector import (
    Check,
    Collector,
    Context,
    PollPlan,
    Privilege,
    Progress,
    SourceError,
    SourceTime,
    SourceUnreachableError,
)
from satellite.collectors.vsphere.config import VsphereConfig
from satellite.collectors.vsphere.connection import Meter
from satellite.collectors.vsphere.following import Following
from satellite.collectors.vsphere.plans import Measure
from satellite.collectors.vsphere.session import Refused, Session
from satellite.collectors.vsphere.state import States
from satellite.collectors.vsphere.tags import TagReader
from shared.model import Action, ActionResult, Event, Inventory, Readings

__all__ = ["VsphereCollector"]

log = logging.getLogger(__name__)

_STATE: Final = "state"
_GOODBYE: Final = 0.9  # seconds


class VsphereCollector(Collector):
    """One vCenter or one ESXi host."""

    kind: ClassVar[str] = "vsphere"
    Config: ClassVar[type[VsphereConfig]] = VsphereConfig
    capabilities: ClassVar[frozenset[str]] = frozenset({"metrics", "inventory", "events", "clock"})
    privileges: ClassVar[Sequence[Privilege]] = (
        Privilege("System.View and System.Read on the root folder, with propagation (role Read-only)", "everything"),
    )
    open_seconds: ClassVar[float] = 300.0  # the first look at a large vCenter

    config: VsphereConfig

    def __init__(self, config: VsphereConfig, context: Context) -> None:
        super().__init__(config, context)
        self._meter, self._refused = Meter(), Refused()
        self._states = States()
        self._tags = TagReader(config)
        self._measures: Mapping[str, Measure] = {}  # what the plans but `state` do, by name
        self._following: Following | None = None

    @property
    def plans(self) -> Sequence[PollPlan]:
        """`state` tells what is known already, without asking."""
        return (PollPlan(_STATE, self.config.interval, self.config.interval),)

    async def open(self) -> None:
        """Log in and read everything that the server holds. Raises SourceError."""
        await self.close()
        session = Session(self.config, self._meter, self._refused)
        self._following = following = Following(session, self.context, self.config.host)
        try:
            await self.context.call(session.open)
            await following.begin()
            await self._look_at_tags(following)
            await following.refresh()
        except BaseException:
            await self.close()
            raise

    async def check(self) -> Sequence[Check]:
        """Return what the server allows here, in a session of its own."""
        session = Session(self.config, Meter(), self._refused)
        try:
            await self.context.call(session.open)
        except SourceError as error:
            return [Check("reachable", False, str(error))]
        about = session.content.about
        await self.context.call(session.leave)
        return [Check("reachable", True, str(about.fullName))]

    async def discover(self) -> Inventory:
        """Return everything that the server holds. Raises SourceError."""
        following = self._followed()
        await self._look_at_tags(following)
        return (await following.refresh()).inventory

    async def collect(self, plan: str) -> Readings:
        """Return the readings of a plan. Raises SourceError."""
        following = self._followed()
        picture = following.picture
        if plan == _STATE:
            return self._states.readings(picture, self.context.now_ms())
        if (measure := self._measures.get(plan)) is not None:
            return await measure(self.context, following.session, picture)
        raise ValueError(f"the collector vsphere has no poll plan {plan!r}")

    async def events(self, after: str | None) -> AsyncIterator[Event | Inventory]:  # noqa: ARG002
        """Yield the inventory whenever it has changed, until closed."""
        if (following := self._following) is None:
            return
        async for picture in following.changes():
            # Here, after each answer of the watch and every LONG_POLL, is the place of the event history.
            if picture is not None:
                yield picture.inventory

    async def source_clock(self) -> SourceTime | None:
        """Return the server's time. Raises SourceError."""
        return await self.context.call(self._followed().session.clock)

    async def act(self, action: Action, progress: Progress) -> ActionResult:  # noqa: ARG002
        """Refuse: this collector only reads."""
        return ActionResult(False, f"the collector vsphere only reads; it can't carry out {action.verb!r}")

    async def close(self) -> None:
        """Log out, which gets a second at most, and let go of everything."""
        following, self._following = self._following, None
        if following is None:
            return
        try:
            async with asyncio.timeout(_GOODBYE):
                await self.context.call(following.session.leave)
        except (TimeoutError, SourceError) as error:
            log.debug("the session at %s was given up without a goodbye: %r", following.session.where, error)
        finally:
            following.close()

    def _followed(self) -> Following:
        if self._following is None:
            raise SourceUnreachableError(f"vSphere at {self.config.host} is not connected")
        return self._following

    async def _look_at_tags(self, following: Following) -> None:
        if following.session.vcenter and self._tags.due:
            refs = list(following.picture.keys)
            tags = await self.context.call(self._tags.read, following.session, refs)
            if tags is not None:
                following.tags = tags
