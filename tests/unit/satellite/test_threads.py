"""The threads of a source: two at most, deadlines, and nobody waits for a call that hangs."""

import asyncio
import threading
import time

import pytest
from fixtures.collectors import FakeClock
from fixtures.waiting import wait_until

from satellite.threads import SourceBusyError, SourceContext, SourceThreads, within


def test_a_call_returns_its_result_or_its_error() -> None:
    async def scenario() -> None:
        context = SourceContext("s", "home", threads := SourceThreads("s"), FakeClock())
        assert await context.call(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await context.call(divmod, 7, 0)
        with pytest.raises(RuntimeError, match="StopIteration"):
            await context.call(next, iter(()))
        assert threads.calls == 3
        threads.stop()

    asyncio.run(scenario())


def _running(source: str) -> int:
    return sum(thread.name.startswith(f"{source}-") for thread in threading.enumerate())


def test_calls_that_hang_hold_two_threads_and_no_more() -> None:
    release = threading.Event()

    async def scenario() -> None:
        context = SourceContext("stuck", "home", threads := SourceThreads("stuck"), FakeClock())
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with within(0.05):
                    await context.call(release.wait)
        with pytest.raises(SourceBusyError, match="still hold its threads"):
            await context.call(time.time)
        assert _running("stuck") == 2
        release.set()
        with_room = lambda: threads._stuck == 0  # noqa: E731
        await wait_until(with_room, 5, "the threads come back")
        assert await context.call(abs, -1) == 1
        assert _running("stuck") == 2
        threads.stop()
        await wait_until(lambda: not _running("stuck"), 5, "the threads end")

    asyncio.run(scenario())


def test_calls_beside_each_other_wait_for_a_thread() -> None:
    async def scenario() -> None:
        context = SourceContext("s", "home", threads := SourceThreads("s"), FakeClock())
        results = await asyncio.gather(*(context.call(pow, n, 2) for n in range(20)))
        assert results == [n * n for n in range(20)]
        threads.stop()

    asyncio.run(scenario())
