"""The compactor of the fault tests: the product's compactor and merger in a hurry, so that a minute holds many steps.

`python -m faults.compactor_program URL LATE_SAMPLES DAYS_AHEAD`, any number of times at once. For it an hour is over
after two seconds and a day is quiet at once; LATE_SAMPLES that came late become parts before their hour's turn, and the
merger's clock is DAYS_AHEAD (2: it merges the running day, too), and so is that of whoever drops what is merged. The
parts are hours and the chunks days all the same.
"""

import asyncio
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Final

from metaconsole.process import log_to_stderr
from metaconsole.readers import compactor, merger
from metaconsole.readers.base import ReaderLoop
from metaconsole.store import retention
from metaconsole.store.database import UnavailableError, connected
from metaconsole.store.pieces import DAY_MS
from shared.tasks import first_of

LOOK_SECONDS: Final = 0.2
DROP_SECONDS: Final = 1.0


async def run(url: str, late_samples: int, days_ahead: int) -> None:
    """Compact and merge until the end of the process."""
    hurry(compactor, HOUR_MS=2_000, GRACE_MS=1_000, LATE_ROWS=20, LATE_SAMPLES=late_samples)
    hurry(merger, LOOK_SECONDS=LOOK_SECONDS, SLABS=8)
    loop = ReaderLoop(url, compactor.Compactor(url), LOOK_SECONDS)
    now_ms = time.time_ns() // 1_000_000 + days_ahead * DAY_MS
    await first_of(loop.run(), merger.Merger(url, quiet_seconds=0, now_ms=now_ms).run(), drop(url, days_ahead))


async def drop(url: str, days_ahead: int) -> None:
    """Drop the parts of merged days every second."""
    hurry(retention, PARTS_STAY=timedelta(0))
    while True:
        with suppress(UnavailableError):  # as keep_storage does, it tries again
            async with connected(url, application="nephoscope storage") as connection:
                while True:
                    await retention.drop_merged_parts(connection, datetime.now(UTC) + timedelta(days=days_ahead))
                    await asyncio.sleep(DROP_SECONDS)
        await asyncio.sleep(DROP_SECONDS)


def hurry(module: ModuleType, **constants: float | timedelta) -> None:
    """Replace constants of the product, each by another of the same name."""
    for name, value in constants.items():
        assert hasattr(module, name), f"{module.__name__} has no {name} any more"
        setattr(module, name, value)


if __name__ == "__main__":
    log_to_stderr()
    asyncio.run(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
