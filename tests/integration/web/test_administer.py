"""Tokens and revocation on the pages: shown once and kept nowhere, asked before, by who administers the site only."""

import logging
import re
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask
from fixtures.web import Browser, World, sign_in
from werkzeug.test import TestResponse

from metaconsole import pki
from shared.join_token import JoinToken, parse

TOKENS = "/satellites/tokens"
FORM = {"site": "home", "name": "", "hours": "1", "address": "noc.example.org:7444"}


@pytest.fixture(autouse=True)
def authority(tmp_path: Path) -> None:
    pki.open_authority(tmp_path, datetime.now(UTC))


def send(browser: Browser, path: str, **form: str) -> TestResponse:
    return browser.client.post(path, data={"csrf_token": browser.csrf, **form}, headers={"Accept": "text/html"})


def shown(page: TestResponse) -> tuple[str, JoinToken]:
    """Return the token on a page, as text and as what it says."""
    match = re.search(r'<code id="token"[^>]*>([^<]+)</code>', page.text)
    assert match, page.text
    return match[1], parse(match[1])


def trail(world: World) -> list[tuple[Any, ...]]:
    return world.connection.execute("SELECT actor, action, object FROM audit ORDER BY audit_id").fetchall()


def test_a_token_is_shown_once_with_what_to_run_and_is_in_no_address_cache_or_log(
    app: APIFlask, world: World, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    world.site("home")
    admin = sign_in(app, database_url, "root", "admin")
    assert TOKENS in admin.get("/satellites").text
    page = send(admin, TOKENS, **FORM)
    assert (page.status_code, page.headers["Cache-Control"]) == (201, "no-store")
    text, token = shown(page)
    assert (token.site, token.address) == ("home", FORM["address"])
    commands = unescape(page.text)
    for command in ("satellite join --out home-1", "satellite run --config home-1/satellite.toml"):
        assert f"nephoscope {command}" in commands
    again = admin.get(TOKENS)
    assert again.headers["Cache-Control"] == "no-store"
    (open_,) = admin.get("/api/v1/satellites/tokens").get_json()["items"]
    assert (open_["site"], open_["satellite"], open_["takes_back"]) == ("home", "home-1", False)
    assert open_["id"][:8] in again.text
    kept = str(world.connection.execute("SELECT * FROM join_token").fetchall()) + str(
        world.connection.execute("SELECT * FROM audit").fetchall()
    )
    for place in (again.text, str(open_), kept, caplog.text, str(page.headers), admin.get("/satellites").text):
        assert text not in place
        assert token.secret.hex() not in place
        assert str(token.secret)[2:-1] not in place


def test_a_token_is_withdrawn_once(app: APIFlask, world: World, database_url: str) -> None:
    world.site("home")
    admin = sign_in(app, database_url, "root", "admin")
    send(admin, TOKENS, **FORM)
    send(admin, TOKENS, **FORM | {"name": "second"})
    second, first = admin.get("/api/v1/satellites/tokens").get_json()["items"]
    withdrawn = send(admin, f"{TOKENS}/{first['id']}/withdraw")
    assert (withdrawn.status_code, withdrawn.location) == (303, TOKENS)
    assert send(admin, f"{TOKENS}/{first['id']}/withdraw").status_code == 404
    headers = {"X-CSRF-Token": admin.csrf}
    assert admin.client.delete(f"/api/v1{TOKENS}/{second['id']}", headers=headers).status_code == 204
    assert admin.client.delete(f"/api/v1{TOKENS}/{second['id']}", headers=headers).status_code == 404
    assert world.one("SELECT count(*) FROM join_token WHERE expires_at > now()") == 0
    assert trail(world)[-2:] == [
        ("root", "satellite.token_withdrawn", "home/home-1"),
        ("root", "satellite.token_withdrawn", "home/second"),
    ]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"hours": "soon"}, "The hours are a number"),
        ({"hours": "900"}, "hours"),
        ({"address": "nonsense"}, "is not HOST:PORT"),
        ({"address": ""}, "Where satellites join is not known"),
        ({"name": "Ñandú!"}, "name"),
        ({"site": "nowhere"}, "There is no site"),
    ],
)
def test_what_makes_no_sense_is_told_beside_the_form(
    app: APIFlask, world: World, database_url: str, changed: dict[str, str], told: str
) -> None:
    world.site("home")
    admin = sign_in(app, database_url, "root", "admin")
    page = send(admin, TOKENS, **FORM | changed)
    assert page.status_code == 400
    assert told.lower() in unescape(page.text).lower()
    (name,) = changed.keys() - {"site"} or {"address"}
    assert f'value="{(FORM | changed)[name]}"' in page.text, "what was typed is still there"
    assert world.one("SELECT count(*) FROM join_token") == 0


def test_a_satellite_is_revoked_after_a_question_that_names_it(app: APIFlask, world: World, database_url: str) -> None:
    site = world.site("home")
    admin = sign_in(app, database_url, "root", "admin")
    path = f"/satellites/{site.satellite}/revoke"
    assert f'href="{path}"' in admin.get("/satellites").text
    question = admin.get(path)
    assert "Satellite home-satellite of site home is cut off within seconds" in question.text
    assert world.one("SELECT count(*) FROM satellite WHERE revoked_at IS NULL") == 1
    assert admin.client.post(path, data={}).status_code == 403, "without the token of the form"
    done = send(admin, path)
    assert (done.status_code, done.location) == (303, "/satellites")
    page = admin.get("/satellites").text
    assert '<span class="word">revoked</span>' in page
    assert f'href="{path}"' not in page
    again = send(admin, TOKENS, **FORM | {"satellite": "home-satellite"})
    assert (again.status_code, shown(again)[1].site) == (201, "home")
    assert trail(world)[-2:] == [
        ("root", "satellite.revoke", "home/home-satellite"),
        ("root", "satellite.token", "home/home-satellite"),
    ]


def test_only_who_administers_the_site_sees_the_buttons_and_may(app: APIFlask, world: World, database_url: str) -> None:
    home, away = world.site("home"), world.site("away")
    admin = sign_in(app, database_url, "root", "admin")
    send(admin, TOKENS, **FORM)
    (token,) = admin.get("/api/v1/satellites/tokens").get_json()["items"]
    viewer = sign_in(app, database_url, "vera", "viewer")
    operator = sign_in(app, database_url, "oscar", "operator")
    for somebody in (viewer, operator):
        assert TOKENS not in somebody.get("/satellites").text
        assert "/revoke" not in somebody.get("/satellites").text
        assert somebody.get(TOKENS).status_code == 403
        assert somebody.get(f"/api/v1{TOKENS}").status_code == 403
        assert send(somebody, TOKENS, **FORM).status_code == 403
        assert send(somebody, f"{TOKENS}/{token['id']}/withdraw").status_code == 403
        assert send(somebody, f"/satellites/{home.satellite}/revoke").status_code == 403
    local = sign_in(app, database_url, "luis", "admin", ("away",))
    world.connection.execute(
        "INSERT INTO role_binding (account_id, role, site_id) SELECT account_id, 'viewer', site_id FROM account, site "
        "WHERE account.name = 'luis' AND site.name = 'home'"
    )
    page = local.get("/satellites").text
    assert f"/satellites/{away.satellite}/revoke" in page
    assert f"/satellites/{home.satellite}/revoke" not in page
    assert local.get(f"/api/v1{TOKENS}").get_json()["items"] == []
    assert token["id"][:8] not in local.get(TOKENS).text
    assert '<option value="home"' not in local.get(TOKENS).text.partition("<main")[2]
    assert send(local, TOKENS, **FORM).status_code == 403
    assert send(local, f"{TOKENS}/{token['id']}/withdraw").status_code == 404
    assert local.get(f"/satellites/{home.satellite}/revoke").status_code == 403
    assert send(local, f"/satellites/{home.satellite}/revoke").status_code == 403
    assert send(local, TOKENS, **FORM | {"site": "away"}).status_code == 201
    assert world.one("SELECT count(*) FROM satellite WHERE revoked_at IS NULL") == 2


def test_the_pages_speak_spanish(app: APIFlask, world: World, database_url: str) -> None:
    site = world.site("home")
    admin = sign_in(app, database_url, "root", "admin")
    world.connection.execute("UPDATE account SET locale = 'es'")
    assert "Unir un satélite" in admin.get(TOKENS).text
    assert "Copiar el token" in send(admin, TOKENS, **FORM).text
    assert "¿Revocar home-satellite?" in admin.get(f"/satellites/{site.satellite}/revoke").text
