"""Collector `vsphere`: a vCenter or an ESXi host, over one session.

The one promise: the inventory is read once; after that the server tells what changes, and nothing is read again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar, Final

from satellite.collector import (
    Check,
    Collector,
    Context,
    Load,
    PollPlan,
    Privilege,
    Progress,
    SourceError,
    SourceTime,
    SourceUnreachableError,
)
from satellite.collectors.vsphere.actions import VERBS, Actions
from satellite.collectors.vsphere.config import VsphereConfig
from satellite.collectors.vsphere.connection import Meter
from satellite.collectors.vsphere.events import EventReader
from satellite.collectors.vsphere.following import Following
from satellite.collectors.vsphere.history import History
from satellite.collectors.vsphere.picture import Identities
from satellite.collectors.vsphere.privileges import ACTING, READING
from satellite.collectors.vsphere.readiness import readiness
from satellite.collectors.vsphere.realtime import Realtime
from satellite.collectors.vsphere.session import Refused, Session
from satellite.collectors.vsphere.state import States
from satellite.collectors.vsphere.tags import TagReader
from satellite.collectors.vsphere.tidings import Tidings
from satellite.collectors.vsphere.vsan import Vsan
from shared.model import Action, ActionResult, Event, Inventory, Readings, ResourceKey

__all__ = ["VsphereCollector"]

log = logging.getLogger(__name__)

_STATE: Final = "state"
_REALTIME: Final = "realtime"
_HISTORY: Final = "history"
_VSAN: Final = "vsan"
_GOODBYE: Final = 0.9  # seconds


class VsphereCollector(Collector):
    """One vCenter or one ESXi host."""

    kind: ClassVar[str] = "vsphere"
    Config: ClassVar[type[VsphereConfig]] = VsphereConfig
    capabilities: ClassVar[frozenset[str]] = frozenset({"metrics", "inventory", "events", "clock", *VERBS})
    privileges: ClassVar[Sequence[Privilege]] = (*READING, *ACTING)
    open_seconds: ClassVar[float] = 300.0  # the first look at a large vCenter

    config: VsphereConfig

    def __init__(self, config: VsphereConfig, context: Context) -> None:
        super().__init__(config, context)
        self._meter, self._refused = Meter(), Refused()
        self._states, self._realtime, self._history, self._vsan = States(), Realtime(), History(), Vsan()
        self._tags = TagReader(config)
        self._actions = Actions(context, lambda: self._followed().session, self._reference)
        self._following: Following | None = None
        self._identities: Identities = {}

    @property
    def plans(self) -> Sequence[PollPlan]:
        """`state` tells what is known without asking; `realtime` reads hosts and guests, the others read the rest."""
        often, seldom = self.config.interval, max(self.config.interval, self.config.history_interval)
        return (
            PollPlan(_STATE, often, often),
            PollPlan(_REALTIME, often, often),
            PollPlan(_HISTORY, seldom, seldom),
            PollPlan(_VSAN, seldom, seldom),
        )

    async def open(self) -> None:
        """Log in and read everything that the server holds. Raises SourceError."""
        await self.close()
        session = Session(self.config, self._meter, self._refused)
        self._following = following = Following(session, self.context, self.config.host, self._identities)
        try:
            await self.context.call(session.open)
            await following.begin()
            await self._look_at_tags(following)
            await following.refresh()
        except BaseException:
            await self.close()
            raise

    async def check(self) -> Sequence[Check]:
        """Return what the server allows here, by the session that is open, else by one of its own."""
        session = self._following.session if self._following is not None else None
        return await self.context.call(readiness, self.config, session, self._refused)

    async def discover(self) -> Inventory:
        """Return everything that the server holds. Raises SourceError."""
        following = self._followed()
        await self._look_at_tags(following)
        return (await following.refresh()).inventory

    async def collect(self, plan: str) -> Readings:
        """Return the readings of a plan. Raises SourceError."""
        following = self._followed()
        picture, session, call = following.picture, following.session, self.context.call
        if plan == _STATE:
            return self._states.readings(picture, self.context.now_ms())
        if plan == _REALTIME:
            return await self._realtime.collect(call, session, picture.targets)
        if plan == _HISTORY:
            return await self._history.collect(call, session, picture.targets, picture.snapshots)
        if plan == _VSAN:
            return await self._vsan.collect(call, session, picture.targets)
        raise ValueError(f"the collector vsphere has no poll plan {plan!r}")

    async def events(self, after: str | None) -> AsyncIterator[Event | Inventory]:
        """Yield the inventory whenever it has changed, and what the server's histories tell behind `after`."""
        if (following := self._following) is None:
            return
        session, resolve, now_ms = following.session, following.key_of, self.context.now_ms
        tidings = Tidings(self.context, lambda position: EventReader(session, position, resolve, now_ms), after)
        try:
            async for event in tidings.read():  # of the time when nobody looked
                yield event
            async for picture in following.changes():
                if picture is not None:
                    yield picture.inventory
                async for event in tidings.read():
                    yield event
        finally:
            if following is self._following:  # else the session takes along what the server keeps of the reader
                await tidings.close()

    def load(self) -> Load:
        """Return what the server was asked since the start."""
        asked = self._meter.read()
        return Load(asked.calls, asked.bytes_sent + asked.bytes_received, asked.seconds)

    @property
    def budget(self) -> float:
        """As configured."""
        return self.config.budget

    async def source_clock(self) -> SourceTime | None:
        """Return the server's time. Raises SourceError."""
        return await self.context.call(self._followed().session.clock)

    async def act(self, action: Action, progress: Progress) -> ActionResult:
        """Carry out an action, or say why not. Raises SourceError."""
        return await self._actions.act(action, progress)

    async def close(self) -> None:
        """Log out, which gets a second at most, and let go of everything."""
        following, self._following = self._following, None
        if following is None:
            return
        self._identities = following.identities
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

    def _reference(self, resource: ResourceKey) -> str | None:
        """Return how the server names a resource, None for one that it does not hold. Raises SourceError."""
        keys = self._followed().picture.keys
        return next((ref for ref, key in keys.items() if key == resource), None)

    async def _look_at_tags(self, following: Following) -> None:
        if following.session.vcenter and self._tags.due:
            refs = list(following.picture.keys)
            tags = await self.context.call(self._tags.read, following.session, refs)
            if tags is not None:
                following.tags = tags
