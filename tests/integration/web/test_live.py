"""Streams: new samples arrive, what was missed is sent again, and a stream ends with the session behind it."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from apiflask import APIFlask
from fixtures.waiting import wait_for
from fixtures.web import Api, Browser, Site, World, now_ms, sign_in

from metaconsole.live_view import LiveWriter
from metaconsole.settings import Settings
from metaconsole.web.live import stream
from metaconsole.web.services import services

GAUGE = "system.cpu.utilization"


@pytest.fixture
def site(world: World) -> Site:
    made = world.site("home")
    world.resource(made, "guest")
    world.series(made, "guest", GAUGE)
    return made


@pytest.fixture
def writer(settings: Settings) -> LiveWriter:
    made = LiveWriter(settings.run)
    made.publish()
    return made


def _update(world: World, writer: LiveWriter, series: int, at_ms: int, value: float) -> None:
    writer.update(np.array([series]), np.array([at_ms]), np.array([value]), 10_000)
    world.connection.execute("NOTIFY nephoscope_live")


def _events(client: Api | Browser, site: Site, **query: object) -> Iterator[str]:
    response = client.get("/api/v1/live", resource=site.resources["guest"], **query)
    assert response.status_code == 200
    assert response.mimetype == "text/event-stream"
    for part in response.iter_encoded():
        yield part.decode()


def _samples(event: str) -> tuple[int, list[dict[str, Any]]]:
    kind, number, data = event.strip().splitlines()
    assert kind == "event: samples"
    return int(number.removeprefix("id: ")), json.loads(data.removeprefix("data: "))["series"]


def test_new_samples_arrive(world: World, api: Api, site: Site, writer: LiveWriter) -> None:
    series, start = site.series["guest", GAUGE], now_ms()
    _update(world, writer, series, start, 0.25)
    events = _events(api, site)
    assert next(events).startswith("retry: ")
    assert _samples(next(events)) == (start, [{"id": str(series), "times": [start], "values": [0.25]}])
    _update(world, writer, series, start + 1, 0.5)
    assert _samples(next(events)) == (start + 1, [{"id": str(series), "times": [start + 1], "values": [0.5]}])
    events.close()  # type: ignore[attr-defined]


def test_what_was_missed_is_sent_again(world: World, api: Api, site: Site, writer: LiveWriter) -> None:
    series, start = site.series["guest", GAUGE], now_ms() - 60_000
    for index in range(4):
        world.batch(site, [start + index * 1000], {GAUGE: {series: [float(index)]}})
    _update(world, writer, series, start + 3000, 3.0)
    events = _events(api, site, since=start + 1000)
    next(events)
    assert _samples(next(events)) == (
        start + 3000,
        [{"id": str(series), "times": [start + 2000, start + 3000], "values": [2.0, 3.0]}],
    )
    _update(world, writer, series, start + 9000, 9.0)
    assert _samples(next(events))[0] == start + 9000, "what was replayed is not sent twice"
    events.close()  # type: ignore[attr-defined]


def test_a_stream_ends_with_its_session(
    app: APIFlask, world: World, database_url: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "PING_SECONDS", 0.2)
    browser = sign_in(app, database_url, "ana")
    events = _events(browser, site)
    next(events)
    assert next(events) == ": ping\n\n"
    world.connection.execute("DELETE FROM web_session")
    assert list(events)[-1] == "event: end\ndata: {}\n\n"


def test_closing_ends_every_stream_and_forgets_it(app: APIFlask, api: Api, site: Site, writer: LiveWriter) -> None:
    streams = [_events(api, site) for _ in range(5)]
    for events in streams:
        next(events)
    services(app).hub.close()
    assert [list(events) for events in streams] == [[]] * 5
    assert list(_events(api, site)) == ["retry: 2000\n\n"], "and a later one ends at once"


def test_news_go_on_after_the_database_was_away(world: World, api: Api, site: Site, writer: LiveWriter) -> None:
    series, start = site.series["guest", GAUGE], now_ms()
    _update(world, writer, series, start, 0.25)
    events = _events(api, site)
    next(events)
    next(events)
    listeners = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE '%% live'"
    wait_for(lambda: world.one(listeners) == 1, 5, "the hub listens")
    _update(world, writer, series, start + 1, 0.5)
    assert _samples(next(events))[0] == start + 1
    events.close()  # type: ignore[attr-defined]
