"""The peer of the ingest benchmark: COPY BINARY of the mix into rows of a table with a (series, time) index.

Run as a process per connection: `copy_feeder.py URL PROGRESS NUMBER GUESTS START_MS`, 10,000 rows a transaction, until
SIGTERM. Rows are filled by numpy, so that the client is not what is measured.
"""

import signal
import sys
import threading
from pathlib import Path
from typing import Final

import numpy as np
import psycopg

from bench import mix, progress

TABLE: Final = """
CREATE TABLE rows (series int4 NOT NULL, time timestamptz NOT NULL, value float8 NOT NULL);
CREATE INDEX rows_by_series ON rows (series, time);
"""
CYCLES: Final = 360
_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_FIELDS: Final = (">i2", ">i4", ">i4", ">i4", ">i8", ">i4", ">f8")
_ROW: Final = np.dtype(list(zip(("fields", "l1", "series", "l2", "time", "l3", "value"), _FIELDS, strict=True)))
_EPOCH_2000_MS: Final = 946_684_800_000


def main(url: str, counts: Path, number: int, guests: int, start_ms: int) -> None:
    """Feed until told to stop."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    data, mine = mix.generate(number, guests, CYCLES), progress.join(counts)
    rows = np.zeros((len(mix.METRICS), guests), dtype=_ROW)
    rows["fields"], rows["l1"], rows["l2"], rows["l3"] = 3, 4, 8, 8
    rows["series"] = (number * rows.size + np.arange(rows.size)).reshape(rows.shape)
    with psycopg.connect(url) as connection:
        cycle = 0
        while not stop.is_set():
            rows["time"] = (start_ms + cycle * mix.INTERVAL_MS - _EPOCH_2000_MS) * 1000
            for index, metric in enumerate(mix.METRICS):
                rows["value"][index] = data.at(metric, cycle)
            with connection.cursor() as cursor, cursor.copy("COPY rows FROM STDIN (FORMAT binary)") as copy:
                copy.write(_HEADER + rows.tobytes() + _TRAILER)
            connection.commit()
            mine[number] += rows.size
            cycle += 1


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
