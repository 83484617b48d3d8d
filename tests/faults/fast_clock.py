"""A satellite's clock that lives in the past and runs faster than the machine's until it has caught up with it."""

import asyncio
import time


class FastClock:
    """satellite.clock.Clock: from an instant on, so many times as fast as the machine's, and never ahead of that."""

    def __init__(self, begin_ms: int, factor: float) -> None:
        self._begin_ms, self._factor, self._since = begin_ms, factor, time.monotonic()

    def now_ms(self) -> int:
        passed = (time.monotonic() - self._since) * self._factor * 1000
        return min(self._begin_ms + int(passed), time.time_ns() // 1_000_000)

    def monotonic(self) -> float:
        return self.now_ms() / 1000

    def both(self) -> tuple[int, float]:
        now_ms = self.now_ms()
        return now_ms, now_ms / 1000

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(seconds, 0) / self._factor):
                await event.wait()
        except TimeoutError:
            return
