"""Compactor and merger over all that the log holds, without waiting for hours to be quiet.

`compacting.py URL [NOW_MS]`. They run as the product's process runs them, in one process; when nothing is left to do it
prints the seconds and ends.
"""

import asyncio
import sys
import time

from metaconsole.readers.base import ReaderLoop
from metaconsole.readers.compactor import Compactor
from metaconsole.readers.merger import Merger
from metaconsole.store.database import connect_async


async def compact(url: str, now_ms: int | None = None) -> None:
    """Do everything that is due, now or at an instant."""
    connection = await connect_async(url, application="nephoscope compactor")
    began = time.monotonic()
    try:
        compactor = Compactor(url, now_ms)
        await compactor.prepare(connection)
        loop = ReaderLoop(url, compactor)
        while await loop.look(connection):
            continue
        await Merger(url, quiet_seconds=0, now_ms=now_ms).look(connection)
    finally:
        await connection.close()
    print(f"{time.monotonic() - began:.3f}")


if __name__ == "__main__":
    asyncio.run(compact(sys.argv[1], *map(int, sys.argv[2:])))
