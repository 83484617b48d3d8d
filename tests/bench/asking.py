"""Questions over HTTP to the web process that `nephoscope metaconsole web` starts, with a token.

The one promise: what is timed is from sending a request to the last byte of its answer, over connections that stay
open, one question after the other; an answer that does not hold what it must ends the measurement.
"""

import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any, Final

import numpy as np
from fixtures.stack import Program, Stack
from fixtures.waiting import wait_for

CONNECTIONS: Final = 6  # of both workers
_START_SECONDS: Final = 20


@dataclass(frozen=True, slots=True)
class Request:
    """One request, and what its answer has to hold."""

    path: str
    body: dict[str, Any] | None
    check: Callable[[bytes], bool]


def start_web(made: Stack, port: int) -> Program:
    """Start the web and return when it answers."""
    web = made.web(port)
    web.start()

    def answers() -> bool:
        try:
            with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
                connection.request("GET", "/healthz")
                return connection.getresponse().status == 200
        except OSError:
            return False

    wait_for(lambda: answers() or not web.running(), _START_SECONDS, "the web answers")
    assert web.running(), web.tail()
    return web


def ask(port: int, token: str, views: Iterator[list[Request]], count: int) -> list[float]:
    """Return the milliseconds of so many views, in order; a view is some requests, one after the other."""
    connections = [HTTPConnection("127.0.0.1", port, timeout=30) for _ in range(CONNECTIONS)]
    took = []
    for number, requests in enumerate(itertools.islice(views, count)):
        took.append(sum(_timed(connections[number % CONNECTIONS], token, request) for request in requests))
    for connection in connections:
        connection.close()
    return took


def spread(took: Sequence[float]) -> str:
    """Return median and 95th percentile of milliseconds for a table; the first fifth warmed pools and caches up."""
    median, high = np.percentile(took[len(took) // 5 :], [50, 95]).tolist()
    return f"{median:.1f}, {high:.1f} ms"


def _timed(connection: HTTPConnection, token: str, request: Request) -> float:
    body = None if request.body is None else json.dumps(request.body)
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/html" if body is None else "application/json"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    began = time.perf_counter()
    connection.request("GET" if body is None else "POST", request.path, body, headers)
    response = connection.getresponse()
    text = response.read()
    took = 1000 * (time.perf_counter() - began)
    assert response.status == 200, f"{request.path}: {response.status} {text[:500]!r}"
    assert request.check(text), f"{request.path}: the answer is not what was asked for: {text[:500]!r}"
    return took
