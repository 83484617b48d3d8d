"""A feeding process of the Zabbix peer: requests encoded before the start, sent one after the other.

`python -m bench.zabbix_feeder PORT PROGRESS NUMBER GUESTS START_MS CYCLES`, until SIGTERM. Should the cycles run out,
further ones are encoded as it goes. Its count grows by what the server says it took.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from bench import copy_feeder, mix, progress
from bench.zabbix_sender import request, send

VALUES: Final = 1_000  # of a request, as its proxies send


def host(number: int, guest: int) -> str:
    """Return the name of the host that stands for a guest of a feeder."""
    return f"bench-{number}-guest-{guest}"


def requests(number: int, guests: int, start_ms: int, prepared: int) -> Iterator[bytes]:
    """Yield the requests of cycle after cycle for ever; those of the first ones are encoded before any is yielded."""
    data = mix.generate(number, guests, copy_feeder.CYCLES)

    def of_cycle(cycle: int) -> Iterator[bytes]:
        clock = (start_ms + cycle * mix.INTERVAL_MS) // 1000
        values = (
            (host(number, guest), metric, value, clock)
            for metric in mix.METRICS
            for guest, value in enumerate(data.at(metric, cycle).tolist())
        )
        while part := list(islice(values, VALUES)):
            yield request(part)

    yield from [framed for cycle in range(prepared) for framed in of_cycle(cycle)]
    cycle = prepared
    while True:
        yield from of_cycle(cycle)
        cycle += 1


def main(port: int, counts: Path, number: int, guests: int, start_ms: int, prepared: int) -> None:
    """Feed until told to stop."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    mine = progress.join(counts)
    for framed in requests(number, guests, start_ms, prepared):
        if stop.is_set():
            break
        taken, failed = send(port, framed)
        assert not failed, f"Zabbix did not take {failed} of {taken + failed} values"
        mine[number] += taken


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:7]))
