"""Join tokens and revocation through the API: who may, what comes of it, and that it is on record."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from apiflask import APIFlask
from fixtures.web import Browser, World, sign_in

from metaconsole import pki
from shared.certificates import pin_of
from shared.join_token import parse

BODY = {"site": "home", "address": "noc.example.org:7444"}


@pytest.fixture
def authority(tmp_path: Path) -> bytes:
    return pin_of(pki.open_authority(tmp_path, datetime.now(UTC)).certificate)


def test_an_administrator_makes_a_token(app: APIFlask, world: World, database_url: str, authority: bytes) -> None:
    world.site("home")
    admin = sign_in(app, database_url, "root", "admin")
    answer = admin.post("/api/v1/satellites/tokens", BODY)
    assert answer.status_code == 201, answer.text
    made = answer.get_json()
    token = parse(made["token"])
    assert (token.address, token.site, token.pin) == (BODY["address"], "home", authority)
    assert made["command"] == "nephoscope satellite join --out home-1"
    assert made["satellite"] == "home-1"
    hour = made["expires"] / 1000 - datetime.now(UTC).timestamp()
    assert 3000 < hour < 3700
    audit = "SELECT actor || ' ' || action || ' ' || object FROM audit ORDER BY audit_id DESC LIMIT 1"
    assert world.one(audit) == "root satellite.token home/home-1"
    assert world.one("SELECT address FROM audit ORDER BY audit_id DESC LIMIT 1") == "127.0.0.1"


@pytest.mark.parametrize(
    ("changed", "status", "why"),
    [
        ({"site": "nowhere"}, 409, "There is no site"),
        ({"address": None}, 409, "Where satellites join is not known"),
        ({"satellite": "ghost"}, 409, "has no satellite"),
        ({"address": "nonsense"}, 409, "is not HOST:PORT"),
        ({"hours": 0}, 422, "hours"),
        ({"hours": 1e9}, 422, "hours"),
        ({"colour": "red"}, 422, "colour"),
    ],
)
def test_a_token_that_can_t_be_made_is_told(
    app: APIFlask, world: World, database_url: str, authority: bytes, changed: dict[str, object], status: int, why: str
) -> None:
    world.site("home")
    answer = sign_in(app, database_url, "root", "admin").post("/api/v1/satellites/tokens", BODY | changed)
    assert answer.status_code == status
    assert why.lower() in answer.text.lower()
    assert world.one("SELECT count(*) FROM join_token") == 0


def test_a_satellite_is_revoked_once_and_shown_as_it_is(app: APIFlask, world: World, database_url: str) -> None:
    site = world.site("home")
    admin = sign_in(app, database_url, "root", "admin")
    path = f"/api/v1/satellites/{site.satellite}/revoke"
    assert admin.post(path, {}).status_code == 204
    assert admin.post("/api/v1/satellites/nonsense/revoke", {}).status_code == 404
    again = admin.post(path, {})
    assert again.status_code == 409
    assert "revoked already" in again.text
    (shown,) = admin.get("/api/v1/satellites").get_json()["items"]
    assert (shown["state"], shown["revoked_by"]) == ("revoked", "root")
    assert shown["revoked"] is not None
    assert '<span class="word">revoked</span>' in admin.get("/satellites").text
    assert world.one("SELECT count(*) FROM audit WHERE action = 'satellite.revoke'") == 1


def test_only_an_administrator_of_the_site_may(
    app: APIFlask, world: World, database_url: str, authority: bytes
) -> None:
    home, away = world.site("home"), world.site("away")
    operator = sign_in(app, database_url, "operator", "operator")
    local = sign_in(app, database_url, "local", "admin", ("away",))

    def codes(browser: Browser, satellite: object) -> tuple[int, int]:
        token = browser.post("/api/v1/satellites/tokens", BODY).status_code
        return token, browser.post(f"/api/v1/satellites/{satellite}/revoke", {}).status_code

    assert codes(operator, home.satellite) == (403, 403)
    assert codes(local, home.satellite) == (409, 404)  # as if there were none
    assert local.post("/api/v1/satellites/tokens", BODY | {"site": "away"}).status_code == 201
    assert local.post(f"/api/v1/satellites/{away.satellite}/revoke", {}).status_code == 204
    assert world.one("SELECT count(*) FROM satellite WHERE revoked_at IS NULL") == 1


def test_a_second_process_of_an_identity_is_named_while_it_comes_again(
    app: APIFlask, world: World, database_url: str
) -> None:
    site = world.site("home")
    world.connection.execute(
        "UPDATE satellite SET rival_at = now(), rival_nonce = %s, rival_version = '1.2.3', "
        "rival_from = '<b>192.0.2.7</b>'",
        [b"\xab" * 16],
    )
    reader = sign_in(app, database_url, "vera", "viewer")
    (told,) = reader.get("/api/v1/satellites").get_json()["items"]
    rival = {name: told["rival"][name] for name in ("peer", "version", "process")}
    assert rival == {"peer": "<b>192.0.2.7</b>", "version": "1.2.3", "process": "abababab"}
    page = reader.get("/satellites").text
    assert "the one at &lt;b&gt;192.0.2.7&lt;/b&gt; (process abababab, version 1.2.3)" in page
    assert site.satellite is not None
    world.connection.execute("UPDATE satellite SET rival_at = now() - interval '6 minutes'")
    assert reader.get("/api/v1/satellites").get_json()["items"][0]["rival"] is None
    assert "second process" not in reader.get("/satellites").text
