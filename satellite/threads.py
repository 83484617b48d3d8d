"""Blocking calls of a source: at most two daemon threads, each call under a deadline, none ever joined.

The one promise: a call that never returns costs its source a thread, and nobody else anything.
"""

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from satellite.clock import Clock
from satellite.collector import SourceError

T = TypeVar("T")
LIMIT: Final = 2  # threads a source
DEFAULT_SECONDS: Final = 30.0  # of a call outside of any deadline
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


class SourceBusyError(SourceError):
    """Earlier calls still hold all threads of the source."""


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Put what runs inside under a deadline; raises TimeoutError when it has passed."""
    token = _deadline.set(asyncio.get_running_loop().time() + seconds)
    try:
        async with asyncio.timeout(seconds):
            yield
    finally:
        _deadline.reset(token)


@dataclass(slots=True, eq=False)
class _Job:
    function: Callable[[], Any]
    done: "asyncio.Future[Any]"
    abandoned: bool = False


class SourceThreads:
    """The threads of one source. Belongs to one event loop."""

    def __init__(self, source: str) -> None:
        self.calls = 0
        self.cpu_seconds = 0.0
        self._source = source
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._free = asyncio.Semaphore(LIMIT)
        self._threads = 0
        self._busy = 0
        self._stuck = 0

    async def call(self, function: Callable[..., T], *arguments: Any, seconds: float) -> T:
        """Run a blocking call. Raises TimeoutError after the seconds, SourceBusyError while all threads are stuck."""
        if self._stuck >= LIMIT:
            raise SourceBusyError(
                f"source {self._source}: {LIMIT} calls did not return in time and still hold its threads; "
                "nothing more is asked until one does"
            )
        async with asyncio.timeout(seconds):
            await self._free.acquire()
            job = _Job(lambda: function(*arguments), asyncio.get_running_loop().create_future())
            self._start(job)
            try:
                result: T = await job.done
            except asyncio.CancelledError:
                if not job.abandoned and job.done.cancelled():
                    job.abandoned = True
                    self._stuck += 1
                raise
            return result

    def stop(self) -> None:
        """Let the threads end after the calls that they are in; never waits for them."""
        for _ in range(self._threads):
            self._jobs.put(None)

    def _start(self, job: _Job) -> None:
        self.calls += 1
        self._busy += 1
        if self._busy > self._threads:
            self._threads += 1
            name = f"{self._source}-{self._threads}"
            loop = asyncio.get_running_loop()
            threading.Thread(target=self._work, args=(loop,), name=name, daemon=True).start()
        self._jobs.put(job)

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while (job := self._jobs.get()) is not None:
            start = time.thread_time()
            result: Any = None
            error: BaseException | None = None
            try:
                result = job.function()
            except StopIteration as stop:  # a future can't carry it
                error = RuntimeError(f"the call raised StopIteration: {stop}")
            except BaseException as caught:  # noqa: BLE001 - whatever it is, it belongs to the caller
                error = caught
            try:
                loop.call_soon_threadsafe(self._returned, job, result, error, time.thread_time() - start)
            except RuntimeError:
                return  # the loop is closed: the satellite has stopped, and nobody waits for this

    def _returned(self, job: _Job, result: Any, error: BaseException | None, cpu_seconds: float) -> None:
        self.cpu_seconds += cpu_seconds
        self._busy -= 1
        if job.abandoned:
            self._stuck -= 1
        elif not job.done.done():
            if error is None:
                job.done.set_result(result)
            else:
                job.done.set_exception(error)
        self._free.release()


class SourceContext:
    """What a collector gets of the satellite: satellite.collector.Context."""

    def __init__(self, source: str, site: str, threads: SourceThreads, clock: Clock) -> None:
        self.source = source
        self.site = site
        self._threads = threads
        self._clock = clock

    def now_ms(self) -> int:
        """Return UTC milliseconds."""
        return self._clock.now_ms()

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a blocking call under the deadline of what is under way; see Context."""
        deadline = _deadline.get()
        now = asyncio.get_running_loop().time()
        return await self._threads.call(
            function, *arguments, seconds=DEFAULT_SECONDS if deadline is None else max(deadline - now, 0.0)
        )
