"""Which of the spool's segments go, and when: after their time, at the bound, on a full disk.

The one promise: acknowledged segments go before any that waits, the oldest first; what is dropped is on the disk as
dropped before it goes.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, TypeVar

from satellite.ballast import Ballast
from satellite.bounds import Bounds
from satellite.segments import Segment
from satellite.spool_epoch import SpoolEpoch
from satellite.spool_files import SpoolFiles
from satellite.tallies import Tallies
from shared.failpoints import failpoint
from shared.ranges import RangeSet

_log = logging.getLogger(__name__)
T = TypeVar("T")
_KEPT: Final = 2  # segments of this run, whatever was acknowledged: the next run reads in them where this one ended
_UNHURRIED: Final = 3600.0  # seconds of a run before anything is too old: first it may be delivered
_RESIGNED: Final = 300.0  # seconds without another drop, where dropping brought no room: somebody else takes it


class NoRoomError(Exception):
    """A write found the disk full; nothing was written."""


class SpoolRoom:
    """Keeps the spool within its bounds. Belongs to the event loop; the disk is used in threads."""

    def __init__(
        self,
        epochs: list[SpoolEpoch],
        tallies: Tallies,
        files: SpoolFiles,
        ballast: Ballast,
        bounds: Bounds,
        bound: int,
        changed: asyncio.Event,
        now_ms: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look after the epochs of a list that the spool keeps, this run's last; bound is in bytes.

        Changed is set when there is a drop to declare.
        """
        self.lock = asyncio.Lock()  # over everything that removes, or renames a folder
        self.bound = bound
        self.dropped_frames = 0
        self.dropped_samples = 0
        self._changed = changed
        self._epochs, self._tallies = epochs, tallies
        self._files, self._ballast, self._bounds = files, ballast, bounds
        self._now_ms, self._monotonic = now_ms, monotonic
        self._began, self._began_ms = monotonic(), now_ms()
        self._resigned_until = 0.0
        self._guess = bound  # of what is held, never too low: to add it up for each write would be dear
        self._writing = True
        self._stored: dict[bytes, bytes] = {}

    def held(self) -> int:
        """Return what is taken of the bound."""
        return sum(epoch.held_bytes() for epoch in self._epochs)

    async def sweep(self) -> None:
        """Keep what was acknowledged, remove what is out of its time and its bound. Raises OSError."""
        async with self.lock:
            for epoch in [*self._epochs]:
                await self._keep_taken(epoch)
                for segment in self._expired(epoch):
                    await self._remove(epoch, segment)
                await self._remove_empty(epoch)
            await self._drop_old()
            await self._fit(0)
            await asyncio.to_thread(self._ballast.renew)

    async def close(self) -> None:
        """Keep what was acknowledged, for the last time: nothing is written any more. Raises OSError."""
        self._writing = False
        await self.sweep()

    async def fit(self, size: int) -> None:
        """Make room within the bound for so many bytes more. Raises OSError."""
        if self._guess + size > self.bound:
            async with self.lock:
                await self._fit(size)
            self._guess = self.held()
        self._guess += size

    async def write(self, size: int, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return what attempt returns; while it raises NoRoomError, give up something and let it try again."""
        dropped = 0
        while True:
            try:
                return await attempt()
            except NoRoomError:
                gained = await self._give_way(may_drop=dropped <= size)
                if gained is None:
                    raise
                dropped += gained

    async def _give_way(self, *, may_drop: bool) -> int | None:
        """Free something on a full disk; return how much of what waits that cost, None where nothing helps."""
        async with self.lock:
            try:
                if await self._give_acknowledged() or await asyncio.to_thread(self._ballast.lighten):
                    return 0
                if not may_drop and self._monotonic() >= self._resigned_until:
                    _log.error("the disk stays full whatever is dropped: nothing more is for %g s", _RESIGNED)
                    self._resigned_until = self._monotonic() + _RESIGNED
                if self._monotonic() < self._resigned_until:
                    return None
                return await self._give_unsent("the disk is full, and so is the spool") or None
            except OSError as error:
                _log.error("the spool can give up nothing for what is new: %s", error)
                return None

    async def _fit(self, size: int) -> None:
        while self.held() + size > self.bound:
            if not await self._give_acknowledged() and not await self._give_unsent("the spool is full"):
                return

    async def _drop_old(self) -> None:
        elapsed = self._monotonic() - self._began
        if elapsed < _UNHURRIED:
            return
        # By whichever clock says less: a clock that jumps ahead costs nothing.
        now_ms = min(self._now_ms(), self._began_ms + round(elapsed * 1000))
        while (found := self._oldest_waiting()) and found[1].times[-1] < now_ms - self._bounds.age_ms:
            await self._drop(*found, f"the spool holds frames of more than {self._bounds.days:g} days")

    # --- what goes next

    def _expired(self, epoch: SpoolEpoch) -> list[Segment]:
        since = self._now_ms() - self._bounds.keep_ms
        return [s for s in self._acknowledged(epoch) if 0 < s.acknowledged_ms <= since]

    def _acknowledged(self, epoch: SpoolEpoch) -> Iterator[Segment]:
        protected = _KEPT if epoch is self._epochs[-1] else 0
        for segment in epoch.segments[: max(len(epoch.segments) - protected, 0)]:
            if not epoch.waits_in(segment):
                yield segment

    def _oldest_waiting(self) -> tuple[SpoolEpoch, Segment] | None:
        for epoch in self._epochs:
            # The newest segment of this run may be the one that is written to.
            for segment in epoch.segments[:-1] if epoch is self._epochs[-1] else epoch.segments:
                if epoch.waits_in(segment):
                    return epoch, segment
        return None

    async def _give_acknowledged(self) -> bool:
        """Remove the oldest segment that is known to be acknowledged; tell whether there was one."""
        for looks_anew in (False, True):
            if looks_anew:
                for epoch in [*self._epochs]:
                    await self._keep_taken(epoch)
            for epoch in self._epochs:
                for segment in self._acknowledged(epoch):
                    if segment.acknowledged_ms:
                        await self._remove(epoch, segment)
                        await self._remove_empty(epoch)
                        return True
        return False

    async def _give_unsent(self, why: str) -> int:
        """Drop the oldest segment that waits; return its size, 0 where there is none."""
        found = self._oldest_waiting()
        if found is None:
            return 0
        await self._drop(*found, why)
        return found[1].size

    # --- how it goes

    async def _drop(self, epoch: SpoolEpoch, segment: Segment, why: str) -> None:
        await self._keep_taken(epoch)
        # From here on no session is given a frame of it that is not known to be handed: what is declared as dropped
        # together is stored by nobody.
        epoch.leaving = RangeSet(epoch.pending.clipped(segment.first, segment.last))
        try:
            drops = await asyncio.to_thread(epoch.plan_drop, segment, epoch.leaving, RangeSet(epoch.handed))
            failpoint("spool.drop.before")
            await asyncio.to_thread(epoch.store_drops, drops)
        finally:
            epoch.leaving = RangeSet()
        failpoint("spool.drop.stored")
        dropped = epoch.drop(segment, drops)
        frames, samples = sum(drop.frames for drop in dropped), sum(drop.samples for drop in dropped)
        self.dropped_frames += frames
        self.dropped_samples += samples
        self._changed.set()
        _log.error("%s: its oldest %d frames, with %d samples, are dropped and become a gap", why, frames, samples)
        await asyncio.to_thread(self._files.remove, epoch.folder / segment.name)
        failpoint("spool.drop.after")
        await self._remove_empty(epoch)

    async def keep_tallies(self) -> None:
        """Write what was produced; durable on return. Raises OSError."""
        content, through = self._tallies.content()
        await asyncio.to_thread(self._tallies.store, content)
        self._tallies.stored(through)

    async def _keep_taken(self, epoch: SpoolEpoch) -> None:
        # What was taken is kept before a segment goes: a sequence that is in neither would be a lost one.
        # And first the time from which on its segments are kept, or a crash between the two would lose it.
        closed = epoch.segments[:-1] if self._writing and epoch is self._epochs[-1] else epoch.segments
        if closed and self._tallies.lacks(epoch.id, closed[-1].last):
            await self.keep_tallies()
        content, now_ms = epoch.taken_bytes(), self._now_ms()
        fresh = []
        for segment in closed:
            if epoch.waits_in(segment):
                segment.acknowledged_ms = 0
            elif not 0 < segment.acknowledged_ms <= now_ms:
                fresh.append(segment)
        for segment in fresh:
            await asyncio.to_thread(self._files.touch, epoch.folder / segment.name, now_ms)
        if self._stored.get(epoch.id) != content:
            await asyncio.to_thread(epoch.store_taken, content)
            self._stored[epoch.id] = content
        for segment in fresh:
            segment.acknowledged_ms = now_ms

    async def _remove(self, epoch: SpoolEpoch, segment: Segment) -> None:
        epoch.segments.remove(segment)
        await asyncio.to_thread(self._files.remove, epoch.folder / segment.name)

    async def _remove_empty(self, epoch: SpoolEpoch) -> None:
        """Remove what an epoch without segments needs no longer: its definitions, and all of it once it is drained."""
        if epoch.segments or epoch is self._epochs[-1]:
            return
        if epoch.drained:
            await asyncio.to_thread(epoch.delete)
            self._epochs.remove(epoch)
            self._stored.pop(epoch.id, None)
        elif epoch.definitions.size:
            await asyncio.to_thread(epoch.definitions.remove)
