"""Who reaches what: every route of the application is walked, so that a new one can't be forgotten."""

from collections.abc import Iterator

import pytest
from apiflask import APIFlask
from fixtures.web import Api, Browser, Site, World, now_ms, sign_in
from werkzeug.routing import Rule

from metaconsole.auth import accounts
from metaconsole.web.security import CSRF_HEADER

_OPEN = {"/healthz", "/readyz", "/metrics", "/api/v1/openapi.json", "/sign-in/link/<secret>"}
_ADMINISTRATORS = {
    "sites.backfill",
    "sites.series",
    "administer_satellites.index",
    "administer_satellites.ask",
    "api_satellites.list_tokens",
}
GAUGE = "system.cpu.utilization"


def _rules(app: APIFlask, *methods: str) -> Iterator[tuple[str, Rule]]:
    for rule in app.url_map.iter_rules():
        for method in set(methods) & set(rule.methods or ()):
            yield method, rule


def _path(rule: Rule, value: str) -> str:
    path = rule.rule
    for argument in rule.arguments:
        for form in (f"<{argument}>", f"<path:{argument}>", f"<uuid:{argument}>", f"<string:{argument}>"):
            path = path.replace(form, value)
    assert "<" not in path, rule
    return path


@pytest.fixture
def sites(world: World) -> tuple[Site, Site]:
    """Return two sites of the same content."""
    made = world.site("allowed"), world.site("forbidden")
    start = now_ms() - 60_000
    for site in made:
        for name, kind in ((f"{site.name}-host", "host"), (f"{site.name}-guest", "guest")):
            world.resource(site, name, kind, serial=f"serial-of-{site.name}")
        world.relation(site, f"{site.name}-guest", "runs_on", f"{site.name}-host")
        series = world.series(site, f"{site.name}-guest", GAUGE)
        world.batch(site, [start], {GAUGE: {series: [0.5]}})
        world.event(site, f"{site.name}-guest", start, f"event-of-{site.name}")
        world.gap(site, start, start + 10_000)
    return made


def test_without_proof_only_the_open_routes_answer(app: APIFlask) -> None:
    client = app.test_client()
    reached = set()
    for method, rule in _rules(app, "GET", "POST", "PUT", "PATCH", "DELETE"):
        response = client.open(_path(rule, "x"), method=method, headers={"Accept": "application/json"})
        if response.status_code != 401:
            reached.add(rule.rule)
    pages = {path for path in reached if path.startswith(("/static", "/preferences", "/sign-"))}
    assert reached - pages - _OPEN == {"/api/v1/sign-in"}


def test_a_viewer_of_one_site_sees_nothing_of_another(
    app: APIFlask, database_url: str, sites: tuple[Site, Site]
) -> None:
    allowed, forbidden = sites
    viewer = sign_in(app, database_url, "viewer", sites=("allowed",))
    admin = sign_in(app, database_url, "admin", "admin")
    secret = list(forbidden.resources.values())
    span = {"from": 0, "to": now_ms() + 1000}
    told_of = 0
    for _, rule in _rules(app, "GET"):
        if rule.rule in _OPEN or rule.rule.startswith("/static") or rule.rule == "/api/v1/live":
            continue
        for ids in (secret, list(allowed.resources.values())):
            query = span if rule.rule.endswith("/gaps") else {}
            of_site = "forbidden" if ids is secret else "allowed"
            response = viewer.get(_path(rule, of_site if "name" in rule.arguments else ids[0]), **query)
            hidden = (
                [*secret, "forbidden", "serial-of-forbidden"] if ids is not secret else ["forbidden-", "-of-forbidden"]
            )
            if rule.endpoint in _ADMINISTRATORS:
                assert response.status_code == 403, rule.rule
                continue
            for word in hidden:
                assert word not in response.text, f"{rule.rule} tells of the other site"
            if rule.arguments:
                assert response.status_code == (404 if ids is secret else 200), rule.rule
        told_of += "forbidden" in admin.get(_path(rule, secret[0]), **query).text
    assert told_of >= 5, "the walk would have found nothing"


@pytest.mark.parametrize("query", [{"q": "forbidden"}, {"site": "forbidden"}, {"q": "serial-of-f"}])
def test_search_and_filters_stay_within_the_scope(
    app: APIFlask, database_url: str, sites: tuple[Site, Site], query: dict[str, str]
) -> None:
    viewer = sign_in(app, database_url, "viewer", sites=("allowed",))
    assert viewer.get("/api/v1/resources", **query).get_json() == {"items": [], "next": None}
    admin = sign_in(app, database_url, "admin", "admin")
    assert len(admin.get("/api/v1/resources", **query).get_json()["items"]) == 2


def test_queries_and_streams_stay_within_the_scope(app: APIFlask, database_url: str, sites: tuple[Site, Site]) -> None:
    viewer = sign_in(app, database_url, "viewer", sites=("allowed",))
    guests = [site.resources[f"{site.name}-guest"] for site in sites]
    body = {"from": 0, "to": now_ms() + 1000, "step": None}
    answers = [
        viewer.post("/api/v1/query", {**body, "select": [{"resource": guest, "metric": GAUGE}]}) for guest in guests
    ]
    assert [answer.status_code for answer in answers] == [200, 404]
    assert len(answers[0].get_json()["series"][0]["values"]) == 1
    top = {"select": [{"kind": "guest", "metric": GAUGE, "top": 10}], "from": now_ms() - 600_000, "to": now_ms()}
    ranked = viewer.post("/api/v1/query", {**top, "step": 600_000}).get_json()["series"]
    assert [one["resource"] for one in ranked] == [guests[0]]
    assert viewer.get("/api/v1/live", resource=guests[1]).status_code == 404


def test_every_unsafe_route_wants_the_token_of_the_session(app: APIFlask, database_url: str) -> None:
    browser = sign_in(app, database_url, "admin", "admin")
    walked = 0
    for method, rule in _rules(app, "POST", "PUT", "PATCH", "DELETE"):
        for headers in ({}, {CSRF_HEADER: "0" * 64}, {CSRF_HEADER: "ñ\x80"}):
            response = browser.client.open(_path(rule, "x"), method=method, headers=headers)
            assert response.status_code == 403 or rule.endpoint in ("api_auth.enter", "sign_in.enter"), rule
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://evil"}):
            headers[CSRF_HEADER] = browser.csrf
            assert browser.client.open(_path(rule, "x"), method=method, headers=headers).status_code == 403, rule
            walked += 1
    assert walked >= 9
    assert browser.get("/api/v1/me").status_code == 200, "none of these ended the session"


def test_the_token_as_a_form_field_is_as_good(app: APIFlask, database_url: str) -> None:
    browser = sign_in(app, database_url, "admin", "admin")
    assert browser.client.post("/api/v1/sign-out", data={"csrf_token": browser.csrf}).status_code == 204
    assert browser.get("/api/v1/me").status_code == 401


@pytest.mark.parametrize(
    "header", ["Bearer nsk_wrong", "Bearer", "Basic YTpi", "Bearer " + "x" * 5000, "nsk_x", "Bearer nsk_\xff"]
)
def test_a_wrong_token_is_not_made_good_by_a_cookie(app: APIFlask, database_url: str, header: str) -> None:
    browser: Browser = sign_in(app, database_url, "admin", "admin")
    response = browser.client.get("/api/v1/me", headers={"Authorization": header})
    assert response.status_code == 401
    assert response.mimetype == "application/problem+json"


def test_tokens_work_until_they_are_revoked(app: APIFlask, world: World, database_url: str) -> None:
    token = accounts.create_token(database_url, "nightly", "write")
    program = Api(app.test_client(), token)
    me = program.get("/api/v1/me").get_json()
    assert (me["name"], me["rights"], me["sites"], me["csrf_token"]) == ("token nightly", ["read", "write"], None, "")
    assert world.one("SELECT count(*) FROM api_token WHERE used_at IS NOT NULL") == 1
    assert token not in world.one("SELECT string_agg(t::text, '') FROM api_token t")
    world.connection.execute("UPDATE api_token SET revoked_at = now()")
    assert program.get("/api/v1/me").status_code == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8080", 200),
        ("127.0.0.1", 200),
        ("[::1]:8080", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("a b", 400),
    ],
)
def test_only_names_of_this_machine_reach_what_listens_here_only(app: APIFlask, host: str, status: int) -> None:
    assert app.test_client().get("/healthz", headers={"Host": host}).status_code == status


def test_every_answer_is_hardened(app: APIFlask, api: Api) -> None:
    for response in (
        api.get("/api/v1/sites"),
        api.get("/healthz"),
        api.get("/nowhere"),
        api.get("/api/v1/openapi.json"),
    ):
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert len(response.headers["X-Request-Id"]) == 16
    assert api.get("/api/v1/sites").headers["Cache-Control"] == "no-store"


def test_a_body_above_a_mebibyte_is_refused(app: APIFlask, api: Api) -> None:
    response = api.client.post("/api/v1/query", data=b" " * (1024 * 1024 + 1), headers=api.headers)
    assert response.status_code == 413
    assert response.mimetype == "application/problem+json"


def test_figures_are_for_this_machine_or_who_has_a_token(app: APIFlask, world: World, api: Api) -> None:
    world.site("a")
    far = {"environ_base": {"REMOTE_ADDR": "192.0.2.7"}}
    text = api.client.get("/metrics").text
    assert 'nephoscope_satellite_seen{satellite="a-satellite",site="a"} 1.0' in text
    assert text.endswith("# EOF\n")
    assert app.test_client().get("/metrics", **far).status_code == 401
    assert app.test_client().get("/metrics", headers={"X-Forwarded-For": "192.0.2.7"}).status_code == 401
    assert api.client.get("/metrics", headers=api.headers, **far).status_code == 200
