"""Pages as rendered: hostile names are inert, states are colour, shape and word, and addresses keep site and range."""

from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask
from flask import g, render_template

from metaconsole.auth.principal import Principal
from metaconsole.settings import Settings
from metaconsole.store.overview import SiteRow
from metaconsole.store.resources import EventRow
from metaconsole.store.scope import EVERYTHING
from metaconsole.web.app import create_app
from metaconsole.web.resources.pages import _facts
from metaconsole.web.sites.pages import worst_state
from metaconsole.web.ui import context, states
from metaconsole.web.ui.preferences import safe_path
from shared.model import Severity, State

POISON = """<script>alert(1)</script>"'><img src=x onerror=alert(2)>{{ 7*7 }}"""
READER = Principal("reader", {"read": EVERYTHING}, csrf="token", locale="en", account_id=1)


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> APIFlask:
    monkeypatch.setattr(context, "sites_known", lambda: [SiteRow(1, "home", POISON, 0)])
    return create_app(Settings("postgresql://nowhere.invalid/none", tmp_path, tmp_path))


def render(app: APIFlask, address: str, template: str, locale: str = "en", **values: Any) -> str:
    with app.test_request_context(address):
        g.principal = Principal(READER.name, READER.scopes, READER.csrf, locale, READER.account_id)
        return render_template(template, **values)


def item(**changes: Any) -> dict[str, Any]:
    known = {
        "id": "00000000-0000-0000-0000-000000000001",
        "kind": "guest",
        "name": "web-1",
        "site": "home",
        "source": "libvirt",
        "state": "running",
        "last_state": "running",
        "state_reason": "",
        "state_since": 1_790_000_000_000,
        "first_seen": 1_790_000_000_000,
        "removed": None,
        "stale": False,
        "attributes": {},
        "identities": [],
    }
    return known | changes


def poisoned_pages(app: APIFlask) -> dict[str, str]:
    poisoned = item(
        name=POISON, source=POISON, site=POISON, kind=POISON, state=POISON, state_reason=POISON,
        attributes={POISON: POISON}, identities=[{"type": POISON, "value": POISON, "strength": 1}],
    )  # fmt: skip
    event = EventRow("1", 0, POISON, POISON, POISON, POISON, {})
    with app.test_request_context("/"):
        g.principal = READER
        facts = _facts(poisoned["attributes"])
    figures = dict.fromkeys(("lag_ms", "spool_frames", "spool_bytes", "clock_offset_ms", "frames_produced"), 0)
    figures |= dict.fromkeys(("frames_refused", "rss_bytes", "cpu_seconds", "spool_dropped_frames"), 0)
    figures |= dict.fromkeys(("spool_bound_bytes", "spool_kept_bytes", "spool_full_seconds", "disk_free_bytes"), 0)
    figures |= {"spool_dropped_samples": 0, "oldest_unsent": 0, "refused_samples": 0, "site_series": 0}
    figures |= {"site_series_quota": 0, "site_resources": 0, "site_resources_quota": 0}
    refused: dict[str, Any] = dict.fromkeys(("source", "kind", "metric", "label"), POISON)
    satellite: dict[str, Any] = {
        "id": "1", "name": POISON, "site": POISON, "state": POISON, "peer": POISON, "version": POISON,
        "seen_at": None, "connected_at": None, "joined": None, "certificate_until": None, "skew": POISON,
        "readers": [{"reader": POISON, "ordinal": 0, "behind": 0}], **figures,
        "refused_series": {**refused, "definitions": 1, "label_values": 1, "for_resources": 0}, "epochs_refused": 0,
        "left_out_resources": {"source": POISON, "kind": POISON, "resources": 1, "of_these": 1},
    }  # fmt: skip
    tile: dict[str, Any] = {"id": "1", "name": POISON, "title": POISON, "state": POISON}
    tile |= {"kinds": [(POISON, 1, [(POISON, 1)])], "satellites": [satellite], "sources": 0, "sources_ok": 0}
    costs = dict.fromkeys(("cycle_seconds", "interval_seconds", "cpu_seconds"), 0.0)
    costs |= dict.fromkeys(("calls", "errors", "overruns", "samples"), 0)
    source: dict[str, Any] = {"name": POISON, "state": POISON, "message": POISON, "collector": POISON}
    plan = {"name": POISON, "interval_seconds": 60.0, "stretch": 2, "busy_seconds": 31.0}
    source |= {"last_success": None, **costs, "plans": [plan], "budget_used": 0.0, "bytes_per_minute": 0.0}
    source |= {"calls_per_minute": 0.0, "busy_per_minute": 0.0}
    listed: dict[str, Any] = {"items": [poisoned], "next": POISON, "cursor": POISON, "q": POISON}
    listed |= {"kinds": []}
    shown: dict[str, Any] = {"item": poisoned, "facts": facts, "relations": [(POISON, [poisoned])], "events": [event]}
    return {
        "sites": render(app, "/", "sites/index.html", tiles=[tile]),
        "list": render(app, "/resources?q=<script>", "resources/index.html", **listed),
        "resource": render(app, "/resources/1?x=<script>", "resources/show.html", **shown),
        "satellites": render(
            app, "/satellites", "satellites/index.html", satellites=[satellite], sources_by={"1": [source]}
        ),
        "error": render(app, "/", "ui/error.html", status=404, title=POISON, detail=POISON),
        "sign-in": render(app, "/sign-in", "auth/sign_in.html", next=POISON, name=POISON, error=POISON),
    }


def test_poisoned_names_are_inert(app: APIFlask) -> None:
    for name, page in poisoned_pages(app).items():
        assert "alert(1)" in page, name
        assert "<script>alert" not in page, name
        assert "<img" not in page, name
        assert "\"'><" not in page, name
        assert ">49<" not in page, name


def test_pages_hold_no_inline_script_and_no_inline_style(app: APIFlask) -> None:
    for name, page in poisoned_pages(app).items():
        rest = page.replace('<script type="application/json" id="texts">', "").replace("<script src=", "")
        assert "<script" not in rest, name
        assert " style=" not in page, name
        assert " onclick=" not in page, name


def test_spanish_page_speaks_spanish(app: APIFlask) -> None:
    page = render(app, "/", "sites/index.html", locale="es", tiles=[])
    assert '<html lang="es"' in page
    assert ">Sedes<" in page
    assert "Cerrar sesión" in page
    assert "Sign out" not in page


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("en", ["1.2\xa0GiB of 2\xa0GiB · full in 9\xa0h at this rate", "12 frames", "3 samples", "Disk free"]),
        ("es", ["1,2\xa0GiB de 2\xa0GiB · llena en 9\xa0h a este ritmo", "Lo más antiguo sin enviar", "Disco libre"]),
        ("en", ["-10\xa0min ± 4\xa0ms", ">critical<", "Set the clock there by NTP"]),
        ("es", ["-10\xa0min ± 4\xa0ms", ">crítico<", "Ponga en hora el reloj de allí por NTP"]),
        (
            "en",
            ["12 series of this satellite are refused: site home has the 2,000", "1,500 of 2,000"],
        ),
        ("en", ["source vc1, kind guest, metric system.cpu.time, where the key of the resource had", "values: 9."]),
        ("es", ["Se rechazan 12 series de este satélite", "donde la clave del recurso tuvo", "suba el límite"]),
    ],
)
def test_spool_and_clock_are_told_in_words(app: APIFlask, locale: str, words: list[str]) -> None:
    satellite: dict[str, Any] = {
        "id": "1", "name": "s", "site": "home", "state": "seen", "readers": [], "spool_frames": 5,
        "spool_bytes": 6 * 2**30 // 5, "spool_bound_bytes": 2**31, "spool_full_seconds": 9 * 3600,
        "spool_kept_bytes": 0, "spool_dropped_frames": 12, "spool_dropped_samples": 3, "disk_free_bytes": None,
        "oldest_unsent": 1_790_000_000_000, "frames_produced": 0, "frames_refused": 0, "lag_ms": 0, "version": "",
        "seen_at": None, "connected_at": None, "clock_offset_ms": -600_000, "clock_uncertainty_ms": 4,
        "clock_state": "critical", "clock_since": 1_790_000_000_000, "peer": "", "rss_bytes": 0, "cpu_seconds": 0,
        "backfill_rate": 0, "backfill_ends": None, "certificate_until": None, "joined": None, "skew": "same",
        "site_series": 1_500, "site_series_quota": 2_000, "refused_samples": 0,
        "site_resources": 1_200, "site_resources_quota": 1_300,
        "refused_series": {
            "definitions": 12, "source": "vc1", "kind": "guest", "metric": "system.cpu.time", "label": "",
            "label_values": 9, "for_resources": 3,
        },
    }  # fmt: skip
    told = {"satellites": [satellite], "sources_by": {"1": []}}
    page = render(app, "/satellites", "satellites/index.html", locale=locale, **told)
    text = " ".join(part for line in page.splitlines() for part in line.split(" ") if part)
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    "state", [*State, *Severity, "seen", "never", "revoked", "refused", "ok", "failing", "opening"]
)
def test_each_state_has_a_look(app: APIFlask, state: str) -> None:
    with app.test_request_context("/"):
        g.principal = READER
        look = states.look(state)
    assert look.name in states.LOOKS
    assert look.symbol == states.SYMBOLS[look.name]
    assert look.word


def test_a_state_from_elsewhere_looks_unknown(app: APIFlask) -> None:
    with app.test_request_context("/"):
        g.principal = READER
        assert states.look("splendid") == states.Look("unknown", "▨", "splendid")


def test_site_and_range_travel_and_nothing_else_does(app: APIFlask) -> None:
    with app.test_request_context("/resources?site=home&range=6h&q=web&cursor=abc"):
        g.principal = READER
        assert context.address("satellites.index") == "/satellites?site=home&range=6h"
        assert context.here(range="15m", cursor=None) == "/resources?site=home&range=15m&q=web"
    with app.test_request_context("/?site=../x&range=1y&from=<b>"):
        assert context.carried() == {}


@pytest.mark.parametrize(
    ("own", "resources", "worst"),
    [
        ("ok", {}, "ok"),
        ("ok", {"guest": {"running": 3, "stopped": 1, "paused": 1}}, "ok"),
        ("ok", {"guest": {"running": 3, "crashed": 1}}, "critical"),
        ("degraded", {"guest": {"unknown": 3}}, "warning"),
        ("unknown", {"guest": {"unknown": 3}}, "unknown"),
    ],
)
def test_a_tile_shows_the_worst(own: str, resources: dict[str, dict[str, int]], worst: str) -> None:
    assert worst_state({"state": own, "resources": resources}) == worst


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "", "/a\nb"])
def test_a_form_leads_back_to_this_site_only(target: str) -> None:
    assert safe_path(target) == "/"
    assert safe_path("/resources?q=a") == "/resources?q=a"
