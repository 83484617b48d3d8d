"""Compactor and merger over all that the log holds, without waiting for hours to be quiet: `compacting.py URL`.

They run as the product's process runs them, in one process; it ends when nothing is left to do.
"""

import asyncio
import sys

from metaconsole.readers.base import ReaderLoop
from metaconsole.readers.compactor import Compactor
from metaconsole.readers.merger import Merger
from metaconsole.store.database import connect_async


async def compact(url: str) -> None:
    """Do everything that is due."""
    connection = await connect_async(url, application="nephoscope compactor")
    try:
        compactor = Compactor(url)
        await compactor.prepare(connection)
        loop = ReaderLoop(url, compactor)
        while await loop.look(connection):
            continue
        await Merger(url, quiet_seconds=0).look(connection)
    finally:
        await connection.close()


if __name__ == "__main__":
    asyncio.run(compact(sys.argv[1]))
