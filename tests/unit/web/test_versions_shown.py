"""The page of satellites marks versions that differ, and shows what a satellite of before does not tell as unknown."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from apiflask import APIFlask
from flask import g, render_template

from metaconsole.auth.principal import Principal
from metaconsole.gateway.liveness import heartbeat_values
from metaconsole.settings import Settings
from metaconsole.store.overview import SatelliteRow, SiteRow, SourceHealth, SourceRow
from metaconsole.store.quota import Rooms
from metaconsole.store.scope import EVERYTHING
from metaconsole.web.app import create_app
from metaconsole.web.satellites import view
from metaconsole.web.sources import view as sources_view
from metaconsole.web.ui import context
from shared.pb import uplink_pb2
from shared.protocol import PROTOCOL

NOW: Final = 1_790_000_000_000
UNTOLD: Final = (
    "spool_bound_bytes", "spool_kept_bytes", "spool_full_seconds", "spool_dropped_frames", "spool_dropped_samples",
    "disk_free_bytes", "backfill_rate", "backfill_ends",
)  # fmt: skip


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> APIFlask:
    monkeypatch.setattr(context, "sites_known", lambda: [SiteRow(1, "home", "Home", 0)])
    return create_app(Settings("postgresql://nowhere.invalid/none", tmp_path, tmp_path))


def satellite(heartbeat: dict[str, Any]) -> dict[str, Any]:
    """Return a satellite of version 0.1.0, seen now, as the page and the API get it."""
    row = SatelliteRow(
        id="1", name="edge", site="home", site_id=1, head=0, seen=NOW, connected=NOW, peer="", version="0.1.0",
        rival_seen=None, rival_from="", rival_version="", rival_nonce="",
        clock_offset_ms=0, heartbeat=heartbeat, clock_uncertainty_ms=None, clock_state="ok", clock_since=None,
        readers=[], created=NOW, joined=None, certificate_until=None,
        revoked=None, revoked_by="",
    )  # fmt: skip
    return view._item(row, Rooms.of(None), NOW)


def spoken(minors: int, majors: int = 0) -> dict[str, Any]:
    """Return what a heartbeat tells of a protocol so many versions from ours."""
    return {"protocol_major": PROTOCOL[0] + majors, "protocol_minor": PROTOCOL[1] + minors}


@pytest.mark.parametrize(
    ("heartbeat", "state", "english", "spanish"),
    [
        (spoken(0), "seen", "", ""),
        ({}, "seen", "", ""),
        (spoken(-1), "seen", "one version behind", "una versión por detrás"),
        (spoken(1), "seen", "one version ahead of the metaconsole", "una versión por delante de la metaconsola"),
        (spoken(0, -1), "refused", "too old, upgrade it", "demasiado antigua, actualícelo"),
        (spoken(2), "refused", "too new, upgrade the metaconsole", "demasiado nueva, actualice la metaconsola"),
    ],
)
def test_a_version_that_differs_is_marked(
    app: APIFlask, heartbeat: dict[str, Any], state: str, english: str, spanish: str
) -> None:
    one = satellite(heartbeat)
    assert one["state"] == state
    for locale, words in (("en", english), ("es", spanish)):
        page = render(app, locale, one)
        assert (f"<dd>0.1.0 · {words}</dd>" if words else "<dd>0.1.0</dd>") in page
        assert (">refused<" in page or ">rechazado<" in page) == (state == "refused")


def test_what_a_satellite_does_not_tell_is_unknown_and_not_zero(app: APIFlask) -> None:
    one = satellite(spoken(-1) | {"spool_frames": 3, "spool_bytes": 4096})
    assert {name: one[name] for name in UNTOLD} == dict.fromkeys(UNTOLD)
    page = render(app, "en", one)
    assert "0\xa0frames ·" not in page
    assert "0 samples" not in page
    assert "3 frames" in page


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("en", "realtime is asked every 2\xa0min instead of 1\xa0min: the source took 31\xa0s to answer"),
        ("es", "realtime se consulta cada 2\xa0min en lugar de cada 1\xa0min: la fuente tardó 31\xa0s en responder"),
    ],
)
def test_a_plan_that_is_asked_less_often_is_shown_with_its_reason(app: APIFlask, locale: str, words: str) -> None:
    plans = [uplink_pb2.PlanStatus(plan="realtime", interval_seconds=60, stretch=2, busy_seconds=31)]
    plans.append(uplink_pb2.PlanStatus(plan="history", interval_seconds=300, stretch=1, busy_seconds=2))
    source = uplink_pb2.SourceStatus(
        source="vc", state="ok", plans=plans, calls_per_minute=12.4, bytes_per_minute=2**21, busy_per_minute=7.5,
        budget=0.25,
    )  # fmt: skip
    page = render(app, locale, satellite(spoken(0)), [shown(source, 0)])
    assert words in page
    assert "history" not in page
    calls = "12.4 calls" if locale == "en" else "12,4 llamadas"
    assert f"{calls} · 2\xa0MiB · 7" in page
    assert "(50 %)" in page
    # A satellite of before tells none of it.
    old = render(app, locale, satellite(spoken(-1)), [shown(source, -1)])
    assert "realtime" not in old
    assert "MiB" not in old.partition("<tbody>")[2]


def shown(source: uplink_pb2.SourceStatus, minors: int) -> dict[str, Any]:
    """Return a source as the page gets it, of a satellite of a protocol so many versions from ours."""
    beat = uplink_pb2.Heartbeat(sources=[source])
    values = heartbeat_values(beat, (PROTOCOL[0], PROTOCOL[1] + minors))
    told = json.loads(json.dumps(values))["sources"][0]
    row = SourceRow(1, 1, "vc", "home", NOW)
    return sources_view._item(row, SourceHealth("1", "edge", NOW, told), NOW)


def render(app: APIFlask, locale: str, one: dict[str, Any], sources: Sequence[dict[str, Any]] = ()) -> str:
    with app.test_request_context("/satellites"):
        g.principal = Principal("reader", {"read": EVERYTHING}, csrf="token", locale=locale, account_id=1)
        return render_template("satellites/index.html", satellites=[one], sources_by={"1": sources})
