"""One open conversation: what is known of a server, kept up to date by the answers of its watch.

The one promise: one thread at a time works on it; whatever goes wrong, or does not return in time, ends it as a whole,
and what was known until then is not told as if it were true now.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from satellite.collector import Context, SourceError, SourceUnreachableError
from satellite.collectors.vsphere.inventory import server
from satellite.collectors.vsphere.library import clean, reference
from satellite.collectors.vsphere.objects import Estate
from satellite.collectors.vsphere.picture import Identities, Picture, Tags
from satellite.collectors.vsphere.session import LONG_POLL, Session
from satellite.collectors.vsphere.watch import Watch, WatchLostError
from shared.model import Resource, ResourceKey

_ALARMS_EVERY: Final = 60.0  # seconds; the vendor does not promise to tell of their changes
_REST: Final = 9  # times as long as an update took it rests, so that updates take a tenth of the time
_REST_LEAST = 1.0


@dataclass(frozen=True, slots=True)
class _Step:
    """One answer, worked in: a new picture when something changed and all of it is here."""

    picture: Picture | None
    more: bool
    busy: float  # seconds of CPU


class Following:
    """Made for one session that is open, and given up with it."""

    def __init__(self, session: Session, context: Context, name: str, identities: Identities) -> None:
        """Prepare to follow; name is what the server is called, identities what an earlier conversation was told."""
        self.session = session
        self.tags: Tags | None = None  # taken over with the next answer
        self.identities = identities
        self._context, self._name = context, name
        self._watch = Watch(session)
        self._estate = Estate("", None, identities)
        self._picture: Picture | None = None
        self._before: Picture | None = None  # the one before, for events about what has just left
        self._turn = asyncio.Lock()
        self._closed = asyncio.Event()
        self._lost: SourceError | None = None
        self._alarms_due = 0.0

    @property
    def picture(self) -> Picture:
        """What is known. Raises SourceUnreachableError once the watch has ended."""
        if self._lost is not None or self._picture is None:
            sentence = f"what changes at vSphere at {self.session.where} can't be followed any more"
            raise SourceUnreachableError(f"{sentence}: {self._lost}" if self._lost else sentence) from self._lost
        return self._picture

    def key_of(self, ref: str) -> ResourceKey | None:
        """Return the resource that an object is ("VirtualMachine:vm-42"), or was until now. From any thread."""
        for picture in (self._picture, self._before):
            if picture is not None and (key := picture.keys.get(ref)) is not None:
                return key
        return None

    async def begin(self) -> None:
        """Read everything. Raises SourceError."""
        async with self._alone():
            await self._context.call(self._begin)
            await self._update(0)

    async def refresh(self) -> Picture:
        """Return how everything is now: asked at once, unless changes are waited for anyhow. Raises SourceError."""
        if self._lost is None and not self._turn.locked():
            async with self._alone():
                await self._update(0)
        return self.picture

    async def changes(self) -> AsyncIterator[Picture | None]:
        """Yield each new picture, and None where nothing changed for a while, until the conversation ends."""
        while not self._closed.is_set() and self._lost is None:
            try:
                async with self._alone():
                    before, busy = self._picture, await self._update(LONG_POLL)
            except SourceError:
                break
            picture = self._picture if self._picture is not before else None
            start = time.thread_time()
            yield picture
            if picture is not None:
                await self._rest(busy + time.thread_time() - start)
        await self._closed.wait()

    def close(self) -> None:
        """End whoever follows. Never blocks."""
        self._closed.set()
        self.session.cut()

    # --- one thread at a time

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        async with self._turn:
            try:
                yield
            except BaseException as error:
                # Also of a call that goes on although nobody waits: it may be at work on what is known.
                self._lost = error if isinstance(error, SourceError) else SourceUnreachableError("no answer in time")
                raise

    async def _update(self, seconds: float) -> float:
        """Take answers until there are no more; return how long that kept a processor busy."""
        tags, self.tags = self.tags, None
        busy, begun = 0.0, False
        while True:
            try:
                step = await self._context.call(self._advance, seconds if tags is None else 0, tags)
            except WatchLostError:
                if begun:
                    raise
                await self._context.call(self._begin)
                step, begun = _Step(None, True, 0.0), True
            busy += step.busy
            if step.picture is not None:
                self._before, self._picture = self._picture, step.picture
                self.identities = step.picture.identities
            if not step.more:
                return busy
            seconds, tags = 0, None

    async def _rest(self, busy: float) -> None:
        try:
            async with asyncio.timeout(max(_REST * busy, _REST_LEAST)):
                await self._closed.wait()
        except TimeoutError:
            return

    # --- in a thread

    def _begin(self) -> None:
        content = self.session.content
        with self.session.errors():
            root = reference(content.rootFolder)
            itself = _server(content, self._name) if self.session.vcenter else None
            self._estate = Estate(root, itself, self.identities)
        self._watch.begin()

    def _advance(self, seconds: float, tags: Tags | None) -> _Step:
        start = time.thread_time()
        answer = self._watch.ask(seconds)
        estate = self._estate
        estate.take(answer.changes)
        if tags is not None:
            estate.take_tags(tags)
        if answer.more:
            return _Step(None, True, time.thread_time() - start)
        self._look_at_alarms()
        picture = estate.picture() if estate.stale else None
        return _Step(picture, False, time.thread_time() - start)

    def _look_at_alarms(self) -> None:
        if time.monotonic() >= self._alarms_due and (change := self._watch.root_alarms()) is not None:
            self._alarms_due = time.monotonic() + _ALARMS_EVERY
            self._estate.take([change])
        if unnamed := self._estate.unnamed_alarms():
            self._estate.alarm_names |= self._watch.alarm_names(unnamed)


def _server(content: Any, name: str) -> Resource:
    about = content.about
    facts = {"vsphere.version": clean(about.version), "vsphere.build": clean(about.build)}
    return server(clean(about.instanceUuid or "") or name, name, facts)
