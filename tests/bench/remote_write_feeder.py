"""A feeding process of the remote write peer: bodies encoded before the start, sent over one connection.

`python -m bench.remote_write_feeder PORT PROGRESS NUMBER GUESTS START_MS BODIES`, until SIGTERM. Should the bodies run
out, further ones are encoded as it goes. Its count grows by what the server answered for.
"""

import http.client
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from bench import mix, progress
from bench.copy_feeder import CYCLES
from bench.remote_write import HEADERS, WriteRequests, compress
from shared.columns import F64

PATH: Final = "/api/v1/write"
SECONDS: Final = 30.0  # an answer that takes longer is a failure


def labels(number: int, guests: int) -> list[dict[str, str]]:
    """Return the labels of the series of one feeder: metric after metric, guest after guest."""
    return [
        {"__name__": metric.replace(".", "_"), "instance": f"guest-{guest}", "job": f"bench-{number}"}
        for metric in mix.METRICS
        for guest in range(guests)
    ]


def values_at(data: mix.Mix, cycle: int) -> F64:
    """Return one value of each series, in the order of the labels."""
    values: F64 = np.concatenate([data.at(metric, cycle) for metric in mix.METRICS]).astype(np.float64)
    return values[:, None]


def bodies(number: int, guests: int, start_ms: int, prepared: int) -> Iterator[bytes]:
    """Yield one body a cycle for ever; the first ones are all encoded before any is yielded."""
    data, requests = mix.generate(number, guests, CYCLES), WriteRequests(labels(number, guests))

    def body(cycle: int) -> bytes:
        times = np.array([start_ms + cycle * mix.INTERVAL_MS], np.int64)
        return compress(requests.encode(times, values_at(data, cycle)))

    yield from [body(cycle) for cycle in range(prepared)]
    cycle = prepared
    while True:
        yield body(cycle)
        cycle += 1


def main(port: int, counts: Path, number: int, guests: int, start_ms: int, prepared: int) -> None:
    """Feed until told to stop."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    mine, samples = progress.join(counts), len(mix.METRICS) * guests
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    for body in bodies(number, guests, start_ms, prepared):
        if stop.is_set():
            break
        connection.request("POST", PATH, body, HEADERS)
        with connection.getresponse() as answer:
            text = answer.read()
        assert answer.status == http.HTTPStatus.NO_CONTENT, f"{answer.status}: {text[:500]!r}"
        mine[number] += samples
    connection.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:7]))
