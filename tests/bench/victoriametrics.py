"""The peer VictoriaMetrics, single node, from Debian's package: its rate by remote write, and its bytes per sample.

It answers once a request is parsed and in its memory: unlike ours, what it has answered for can be lost for a few
seconds. Apart from folder, port and retention it runs with its defaults.
"""

import contextlib
import http.client
import json
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from fixtures.stack import free_port
from fixtures.waiting import wait_for

from bench import mix, peers, progress
from bench.copy_feeder import CYCLES
from bench.findings import Findings
from bench.plan import Plan
from bench.remote_write import HEADERS, WriteRequests, compress
from bench.remote_write_feeder import PATH, labels, values_at

PROGRAM: Final = "victoria-metrics"
PACKAGE: Final = "victoria-metrics"
OPTIONS: Final = ("-retentionPeriod=100y",)
PREPARED: Final = 4_000  # bodies of 10,000 samples that each feeder encodes before the start: what it takes in 70 s
START_SECONDS: Final = 120  # the encoding among them
REQUEST_SECONDS: Final = 120.0  # a forced merge among them
CHUNK: Final = 360  # samples of a series in one request when only the disk matters


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    port: int
    pid: int
    data: Path

    def ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        """Return the answer to a request that must succeed."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=REQUEST_SECONDS)
        with contextlib.closing(connection):
            connection.request(method, path, body, HEADERS if body else {})
            answer = connection.getresponse()
            text = answer.read()
        assert answer.status < 300, f"{method} {path}: {answer.status} {text[:500]!r}"
        return text

    def rows(self) -> int:
        """Return how many samples it has taken by remote write, by its own count."""
        lines = self.ask("GET", "/metrics").decode().splitlines()
        name = 'vm_rows_inserted_total{type="promremotewrite"}'
        return int(next(line.removeprefix(name) for line in lines if line.startswith(name)))

    def export(self, selector: str) -> tuple[list[int], list[float]]:
        """Return instants and values of the one series that a selector finds."""
        self.ask("GET", "/internal/force_flush")
        query = urllib.parse.urlencode({"match[]": selector})
        (line,) = self.ask("GET", f"/api/v1/export?{query}").splitlines()
        series = json.loads(line)
        return series["timestamps"], series["values"]


@contextlib.contextmanager
def server(folder: Path) -> Iterator[Server]:
    """Run a server on a folder; raises AbsentError."""
    program, port, data = peers.find(PROGRAM, PACKAGE), free_port(), folder / "victoriametrics"
    command = [program, f"-storageDataPath={data}", f"-httpListenAddr=127.0.0.1:{port}", *OPTIONS]
    with peers.server(command, folder / "victoriametrics.log") as process:
        running = Server(port, process.pid, data)
        wait_for(lambda: process.poll() is not None or _answers(running), START_SECONDS, "VictoriaMetrics answers")
        assert process.poll() is None, (folder / "victoriametrics.log").read_text(encoding="utf-8")[-2000:]
        yield running


def run(folder: Path, plan: Plan, start_ms: int, found: Findings) -> progress.Span:
    """Measure remote write by as many feeders as there are satellites, with their data; raises AbsentError."""
    counts = progress.create(folder / "victoriametrics.progress", plan.satellites)
    with server(folder) as running:
        found.say(f"VictoriaMetrics {peers.version(PACKAGE)}: {' '.join(OPTIONS)}, else its defaults")
        tail = (plan.guests, start_ms, PREPARED)
        arguments = (running.port, folder / "victoriametrics.progress")
        with peers.feeders("bench.remote_write_feeder", plan.satellites, arguments, tail) as alive:
            wait_for(lambda: counts.all() or not alive(), START_SECONDS, "every feeder of VictoriaMetrics delivers")
            span = progress.measure(counts, {"server": running.pid}, plan.warm_up, plan.seconds)
        assert running.rows() == counts.sum(), f"{counts.sum()} samples were sent, {running.rows()} were taken"
        for number in range(plan.satellites):
            _check(running, number, plan.guests, start_ms)
    return span


def _check(running: Server, number: int, guests: int, start_ms: int) -> None:
    """Compare one series of a feeder, every sample of it, with the mix."""
    metric, guest = mix.COUNTERS[0], guests // 2
    selector = f'{metric.replace(".", "_")}{{instance="guest-{guest}",job="bench-{number}"}}'
    instants, values = running.export(selector)
    data = mix.generate(number, guests, CYCLES)
    assert instants == [start_ms + cycle * mix.INTERVAL_MS for cycle in range(len(instants))]
    assert values == [float(data.at(metric, cycle)[guest]) for cycle in range(len(values))]


def bytes_per_sample(folder: Path, guests: int, cycles: int, start_ms: int) -> tuple[float, float]:
    """Return bytes per sample on disk of the mix (seed 0), merged: the data, and the index; raises AbsentError."""
    data = mix.generate(0, guests, cycles)
    requests = WriteRequests(labels(0, guests), CHUNK)
    with server(folder) as running:
        for first in range(0, cycles - cycles % CHUNK, CHUNK):
            times = start_ms + np.arange(first, first + CHUNK) * mix.INTERVAL_MS
            values = np.hstack([values_at(data, cycle) for cycle in range(first, first + CHUNK)])
            running.ask("POST", PATH, compress(requests.encode(times, values)))
        samples = running.rows()
        running.ask("GET", "/internal/force_flush")
        running.ask("GET", "/internal/force_merge")
        time.sleep(1)
    index = _size(folder / "victoriametrics" / "indexdb")
    return (_size(folder / "victoriametrics" / "data")) / samples, index / samples


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _answers(running: Server) -> bool:
    try:
        running.ask("GET", "/health")
    except OSError:
        return False
    return True
