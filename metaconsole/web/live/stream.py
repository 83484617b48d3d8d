"""What a stream of live values sends: for one resource, whatever is newer than what was sent before.

The one promise: a stream ends when the session behind it ends, and never holds a database connection while it waits.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty
from typing import Any, Final

import numpy as np

from metaconsole.store import dictionary, query
from metaconsole.store.dictionary import Series
from metaconsole.store.scope import Scope
from metaconsole.web.live.hub import News
from metaconsole.web.offload import offload
from metaconsole.web.services import Services
from shared.columns import I64

PING_SECONDS: Final = 15.0
_REPLAY_MS: Final = 15 * 60_000  # what a client that was away gets again; for more it asks /query
_RETRY_MS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Watch:
    """Whose values: a resource within a scope, and a question that tells whether who asked still may."""

    resource: str
    scope: Scope
    still_allowed: Callable[[], bool]


def samples(services: Services, watch: Watch, since: int | None) -> Iterator[str]:
    """Yield server-sent events until the hub closes or the permission ends. since is in UTC milliseconds."""
    subscription = services.hub.subscribe()
    try:
        yield f"retry: {_RETRY_MS}\n\n"
        series = _series(services, watch)
        sent = np.zeros(len(series), dtype=np.int64)
        if since is not None:
            yield from _replayed(services, watch, series, sent, since)
        checked = time.monotonic()
        while True:
            yield from _newer(services, series, sent)
            try:
                if subscription.get(timeout=max(0.01, checked + PING_SECONDS - time.monotonic())) is News.END:
                    return
            except Empty:
                yield ": ping\n\n"
            if time.monotonic() >= checked + PING_SECONDS:
                checked = time.monotonic()
                if not watch.still_allowed():
                    yield "event: end\ndata: {}\n\n"
                    return
                series, sent = _again(series, sent, _series(services, watch))
    finally:
        services.hub.unsubscribe(subscription)


def _series(services: Services, watch: Watch) -> list[Series]:
    with services.database.read() as connection:
        return dictionary.series_of(connection, watch.scope, [watch.resource])


def _again(before: list[Series], sent: I64, now: list[Series]) -> tuple[list[Series], I64]:
    known = {one.series_id: int(at) for one, at in zip(before, sent, strict=True)}
    return now, np.array([known.get(one.series_id, 0) for one in now], dtype=np.int64)


def _newer(services: Services, series: list[Series], sent: I64) -> Iterator[str]:
    newest = services.live.of(np.array([one.series_id for one in series], dtype=np.int64))
    news = np.flatnonzero(newest.times > sent)
    if len(news):
        sent[news] = newest.times[news]
        items = [
            {"id": str(series[i].series_id), "times": [int(newest.times[i])], "values": [float(newest.values[i])]}
            for i in news.tolist()
        ]
        yield _event(items, int(newest.times[news].max()))


def _replayed(services: Services, watch: Watch, series: list[Series], sent: I64, since: int) -> Iterator[str]:
    now = int(time.time() * 1000)
    start = max(since + 1, now - _REPLAY_MS)
    with services.database.read() as connection:
        columns = query.read(connection, watch.scope, series, start, now + 5 * 60_000, offload)
    items = []
    for index, one in enumerate(series):
        times, values = columns.of(one.series_id)
        if len(times):
            sent[index] = times[-1]
            items.append({"id": str(one.series_id), "times": times.tolist(), "values": values.tolist()})
    if items:
        yield _event(items, int(columns.times.max()))


def _event(items: list[dict[str, Any]], newest_ms: int) -> str:
    return f"event: samples\nid: {newest_ms}\ndata: {json.dumps({'series': items}, separators=(',', ':'))}\n\n"
