"""Signing in and out, guessing, one-time links, and the audit trail of it all."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from apiflask import APIFlask
from fixtures.web import PASSWORD, World, sign_in

from metaconsole.addresses import network_of
from metaconsole.auth import accounts
from metaconsole.auth.sign_in import wait_of
from metaconsole.store.accounts import Failures
from metaconsole.store.audit import AuditError
from metaconsole.web.security import COOKIE


def _enter(app: APIFlask, name: str, password: str, address: str = "192.0.2.1") -> int:
    client = app.test_client()
    body = {"name": name, "password": password}
    return client.post("/api/v1/sign-in", json=body, environ_base={"REMOTE_ADDR": address}).status_code


def test_a_password_opens_a_session_and_signing_out_ends_it(app: APIFlask, world: World, database_url: str) -> None:
    accounts.create_account(database_url, "ana", PASSWORD, "operator")
    client = app.test_client()
    response = client.post("/api/v1/sign-in", json={"name": "ana", "password": PASSWORD})
    assert response.get_json()["rights"] == ["read", "write"]
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    secret = client.get_cookie(COOKIE)
    assert secret is not None
    assert secret.value not in world.one("SELECT string_agg(s::text, '') FROM web_session s")

    again = client.post("/api/v1/sign-in", json={"name": "ana", "password": PASSWORD})
    renewed = client.get_cookie(COOKIE)
    assert renewed is not None
    assert renewed.value != secret.value
    assert world.one("SELECT count(*) FROM web_session") == 1, "the session before was replaced"

    csrf = {"X-CSRF-Token": again.get_json()["csrf_token"]}
    assert client.post("/api/v1/sign-out", headers=csrf).status_code == 204
    assert client.get("/api/v1/me").status_code == 401
    client.set_cookie(COOKIE, renewed.value)
    assert client.get("/api/v1/me").status_code == 401, "what was ended does not come back with the cookie"


def test_over_https_the_cookie_is_secure(app: APIFlask, database_url: str) -> None:
    accounts.create_account(database_url, "ana", PASSWORD, "viewer")
    response = app.test_client().post(
        "/api/v1/sign-in", json={"name": "ana", "password": PASSWORD}, base_url="https://localhost"
    )
    assert "Secure" in response.headers["Set-Cookie"]
    assert "Strict-Transport-Security" in response.headers


@pytest.mark.parametrize("age", ["seen_at = now() - interval '13 hours'", "expires_at = now() - interval '1 second'"])
def test_sessions_end_by_themselves(app: APIFlask, world: World, database_url: str, age: str) -> None:
    browser = sign_in(app, database_url, "ana")
    assert browser.get("/api/v1/me").status_code == 200
    world.connection.execute(f"UPDATE web_session SET {age}")
    assert browser.get("/api/v1/me").status_code == 401


def test_a_disabled_account_is_out_at_once(app: APIFlask, world: World, database_url: str) -> None:
    browser = sign_in(app, database_url, "ana")
    link = accounts.create_sign_in_link(database_url, "ana")
    world.connection.execute("UPDATE account SET disabled_at = now()")
    assert browser.get("/api/v1/me").status_code == 401
    assert app.test_client().get(f"/sign-in/link/{link}").status_code == 410


def test_nobody_learns_whether_a_name_exists(app: APIFlask, database_url: str) -> None:
    accounts.create_account(database_url, "ana", PASSWORD, "viewer")
    accounts.create_account(database_url, "link-only", None, "viewer")
    client = app.test_client()
    answers = [
        client.post("/api/v1/sign-in", json={"name": name, "password": "wrong"})
        for name in ("ana", "nobody", "link-only")
    ]
    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert len({answer.text for answer in answers}) == 1


def test_guessing_is_stopped_even_when_it_comes_all_at_once(app: APIFlask, world: World, database_url: str) -> None:
    accounts.create_account(database_url, "ana", PASSWORD, "viewer")
    with ThreadPoolExecutor(12) as pool:
        codes = list(pool.map(lambda index: _enter(app, "ana", f"guess {index}", f"192.0.2.{index}"), range(12)))
    assert codes.count(401) == 5
    assert codes.count(429) == 7
    world.connection.execute("UPDATE sign_in_attempt SET at = now()")  # the machine may be slow, the rule is not
    assert _enter(app, "ana", PASSWORD, "198.51.100.1") == 429, "the right password has to wait as well"
    assert _enter(app, "nobody", "x", "198.51.100.1") == 401, "others do not"
    world.connection.execute("UPDATE sign_in_attempt SET at = at - interval '1 minute'")
    assert _enter(app, "ana", PASSWORD, "198.51.100.1") == 200
    assert _enter(app, "ana", "wrong again", "198.51.100.1") == 401, "a success begins the count anew"


def test_an_address_that_tries_many_names_is_stopped(app: APIFlask) -> None:
    codes = [_enter(app, f"name-{index}", "x") for index in range(23)]
    assert codes == [401] * 21 + [429] * 2


@pytest.mark.parametrize(
    ("failures", "wait"),
    [
        (Failures(4, 0.0), 0),
        (Failures(5, 0.0), 5),
        (Failures(7, 1.0), 19),
        (Failures(7, 21.0), 0),
        (Failures(99, 0), 300),
    ],
)
def test_each_failure_makes_the_next_one_wait_longer(failures: Failures, wait: float) -> None:
    assert wait_of(failures, 4) == wait


def test_who_owns_one_address_of_ipv6_owns_the_network() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::2:3") != network_of("2001:db8:1::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("nonsense") == ""


def test_a_link_opens_once_however_many_open_it(app: APIFlask, world: World, database_url: str) -> None:
    accounts.create_account(database_url, "ana", None, "admin")
    link = accounts.create_sign_in_link(database_url, "ana")
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: app.test_client().get(f"/sign-in/link/{link}"), range(50)))
    assert sorted(answer.status_code for answer in answers) == [302] + [410] * 49
    (opened,) = [answer for answer in answers if answer.status_code == 302]
    assert opened.headers["Location"] == "/"
    assert opened.headers["Referrer-Policy"] == "no-referrer"
    assert world.one("SELECT count(*) FROM web_session") == 1
    assert link not in world.one("SELECT string_agg(l::text, '') FROM sign_in_link l")


def test_a_link_is_too_old_after_ten_minutes(app: APIFlask, world: World, database_url: str) -> None:
    accounts.create_account(database_url, "ana", None, "admin")
    link = accounts.create_sign_in_link(database_url, "ana")
    ended = world.one("SELECT expires_at - interval '10 minutes' FROM sign_in_link")
    world.connection.execute("UPDATE sign_in_link SET expires_at = %s", (ended,))
    assert app.test_client().get(f"/sign-in/link/{link}").status_code == 410


def test_what_can_not_be_made_is_told(database_url: str) -> None:
    accounts.create_account(database_url, "ana", None, "viewer")
    accounts.create_token(database_url, "nightly", "read")
    wrong: list[Callable[[], object]] = [
        lambda: accounts.create_account(database_url, "ana", None, "viewer"),
        lambda: accounts.create_account(database_url, "a b", None, "viewer"),
        lambda: accounts.create_account(database_url, "bob", "short", "viewer"),
        lambda: accounts.create_account(database_url, "bob", None, "king"),
        lambda: accounts.create_account(database_url, "bob", None, "viewer", ("nowhere",)),
        lambda: accounts.create_sign_in_link(database_url, "bob"),
        lambda: accounts.create_token(database_url, "nightly", "read"),
        lambda: accounts.create_token(database_url, "other", "everything"),
        lambda: accounts.create_token("postgresql://127.0.0.1:1/nowhere", "other", "read"),
    ]
    for attempt in wrong:
        with pytest.raises(accounts.AccountError, match=r"^\S.* .*[^.]$"):
            attempt()


def test_the_audit_trail_notices_every_change(app: APIFlask, world: World, database_url: str) -> None:
    accounts.create_account(database_url, "ana", PASSWORD, "viewer")
    accounts.create_token(database_url, "nightly", "read")
    _enter(app, "ana", "wrong")
    _enter(app, "ana", PASSWORD)
    browser = sign_in(app, database_url, "bob")
    browser.post("/api/v1/sign-out", {})
    rows = world.connection.execute("SELECT action, actor, object, address FROM audit ORDER BY audit_id").fetchall()
    assert rows == [
        ("account.create", "command line", "ana", ""),
        ("token.create", "command line", "nightly", ""),
        ("sign_in.failure", "ana", "ana", "192.0.2.1"),
        ("sign_in", "ana", "ana", "192.0.2.1"),
        ("account.create", "command line", "bob", ""),
        ("link.create", "command line", "bob", ""),
        ("sign_in", "bob", "bob", "127.0.0.1"),
        ("sign_out", "bob", "bob", "127.0.0.1"),
    ]
    assert accounts.verify_audit(database_url)[0] == 8
    for change, undo in (
        ("UPDATE audit SET actor = 'eve' WHERE audit_id = 4", "UPDATE audit SET actor = 'ana' WHERE audit_id = 4"),
        ("UPDATE audit SET at = at + interval '1 second' WHERE audit_id = 2", None),
    ):
        world.connection.execute(change)
        with pytest.raises(AuditError, match="is not what was written"):
            accounts.verify_audit(database_url)
        if undo:
            world.connection.execute(undo)
            assert accounts.verify_audit(database_url)[0] == 8
    world.connection.execute("UPDATE audit SET at = at - interval '1 second' WHERE audit_id = 2")
    world.connection.execute("DELETE FROM audit WHERE audit_id = 3")
    with pytest.raises(AuditError, match="no row 3"):
        accounts.verify_audit(database_url)


def test_writers_of_the_audit_trail_take_turns(database_url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda index: accounts.create_token(database_url, f"token-{index}", "read"), range(40)))
    assert accounts.verify_audit(database_url)[0] == 40
