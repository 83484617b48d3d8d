"""A reader of the log that only counts: a row for each row that it was given, in the transaction of its position.

`python -m faults.counting_reader URL`, any number of times at once. The table has no key: a row that is read twice
stands in it twice.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Final

from metaconsole.process import log_to_stderr
from metaconsole.readers.base import Follower, ReaderLoop
from metaconsole.store.database import AsyncConnection
from metaconsole.store.frames import LogKind
from metaconsole.store.positions import Entry

TABLE: Final = "CREATE TABLE counted (site_id bigint, satellite_id uuid, ordinal bigint, process bigint)"
_COUNT: Final = """
INSERT INTO counted
SELECT site_id, satellite_id, ordinal, %(process)s
FROM unnest(%(sites)s::bigint[], %(satellites)s::uuid[], %(ordinals)s::bigint[])
    AS one (site_id, satellite_id, ordinal)
"""


class CountingReader(Follower):
    """Wants every kind of row."""

    name = "counting"
    kinds = frozenset(LogKind)

    async def process(self, connection: AsyncConnection, entries: Sequence[Entry]) -> None:
        values = {
            "process": os.getpid(),
            "sites": [entry.site_id for entry in entries],
            "satellites": [entry.satellite_id for entry in entries],
            "ordinals": [entry.ordinal for entry in entries],
        }
        await connection.execute(_COUNT, values)


if __name__ == "__main__":
    log_to_stderr()
    asyncio.run(ReaderLoop(sys.argv[1], CountingReader()).run())
