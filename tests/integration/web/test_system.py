"""Whether the process lives and is ready, what the API says of itself, and errors as problems."""

from pathlib import Path

import psycopg
from apiflask import APIFlask
from fixtures.web import Api, World, sign_in
from openapi_spec_validator import OpenAPIV31SpecValidator

from metaconsole.settings import Settings
from metaconsole.web.app import create_app
from metaconsole.web.services import services


def test_ready_means_that_everything_works_together(world: World, api: Api, database_url: str) -> None:
    def reasons() -> list[str]:
        response = api.client.get("/readyz")
        told = response.get_json()
        assert response.status_code == (503 if told["reasons"] else 200)
        assert told["ready"] == (not told["reasons"])
        found: list[str] = told["reasons"]
        return found

    assert reasons() == ["No gateway is connected to the database.", "No reader is connected to the database."]
    with (
        psycopg.connect(database_url, application_name="nephoscope gateway"),
        psycopg.connect(database_url, application_name="nephoscope readers"),
    ):
        assert reasons() == []
        site = world.site("home")
        world.heartbeat(site, age_seconds=20)
        assert reasons() == ["None of 1 satellites has been heard of for 15 s."]
        world.heartbeat(site)
        assert reasons() == ["No satellite has delivered anything yet."]
        world.resource(site, "guest")
        world.series(site, "guest", "system.cpu.utilization")
        assert reasons() == []


def test_without_a_database_it_lives_and_says_so(tmp_path: Path) -> None:
    nowhere = "postgresql://127.0.0.1:1/nowhere?connect_timeout=1"
    app = create_app(Settings(nowhere, run=tmp_path, pki=tmp_path))
    services(app).database.patience = 0.5
    client = app.test_client()
    try:
        assert client.get("/healthz").get_json() == {"status": "ok"}
        response = client.get("/readyz")
        assert (response.status_code, response.get_json()["reasons"]) == (503, ["The database can't be reached."])
        response = client.get("/api/v1/sites", headers={"Authorization": "Bearer nsk_x"})
        assert response.status_code == 503
        assert response.get_json()["detail"] == "The database can't be reached. Try again in a moment."
        assert response.headers["Retry-After"] == "5"
    finally:
        services(app).close()


def test_a_database_without_schema_is_not_ready(postgres_server: str, tmp_path: Path) -> None:
    app = create_app(Settings(postgres_server, run=tmp_path, pki=tmp_path))
    try:
        told = app.test_client().get("/readyz").get_json()
    finally:
        services(app).close()
    assert told["reasons"] == ["The database has no schema: run the migrations."]


def test_the_storage_is_accounted_for_to_whom_all_sites_are_open(app: APIFlask, api: Api, world: World) -> None:
    world.site("home")
    told = api.get("/api/v1/system/storage").get_json()
    tables = sum(table["bytes"] for table in told["tables"])
    assert told["total_bytes"] == tables + told["catalogue_bytes"] + told["file_bytes"]
    assert tables == sum(tier["bytes"] for tier in told["tiers"])
    assert {"log", "chunk", "rollup", "account"} <= {table["table"] for table in told["tables"]}
    assert told["free_bytes"] > 0
    assert (told["full_days"], told["unknown"]) == (None, "Growth is known once sizes were noted on two days.")
    assert sign_in(app, world.url, "everywhere").get("/api/v1/system/storage").status_code == 200
    refused = sign_in(app, world.url, "somewhere", sites=("home",)).get("/api/v1/system/storage")
    assert (refused.status_code, refused.mimetype) == (403, "application/problem+json")


def test_metrics_tell_the_storage_and_leave_out_what_is_not_known(api: Api, world: World) -> None:
    def figures() -> dict[str, float]:
        lines = api.get("/metrics").text.splitlines()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}

    before = figures()
    assert before["nephoscope_database_bytes"] > before['nephoscope_storage_bytes{tier="log"}'] > 0
    assert before["nephoscope_storage_free_bytes"] > 0
    assert "nephoscope_storage_full_seconds" not in before
    world.connection.execute(
        """INSERT INTO storage_day
        SELECT (extract(epoch FROM now()) / 86400)::int - age, 'log', 1000000 * (3 - age),
               now() - make_interval(days => age)
        FROM generate_series(0, 2) AS age"""
    )
    after = figures()
    assert round(after['nephoscope_storage_growth_bytes_per_day{tier="log"}']) == 1_000_000
    assert after["nephoscope_storage_full_seconds"] > 0


def test_errors_are_problems(app: APIFlask, api: Api) -> None:
    for path, method, status in (
        ("/api/v1/nothing", "GET", 404),
        ("/api/v1/sites", "DELETE", 405),
        ("/nothing", "GET", 404),
    ):
        response = api.client.open(path, method=method, headers=api.headers)
        told = response.get_json()
        assert response.mimetype == "application/problem+json"
        assert (response.status_code, told["status"], told["type"]) == (status, status, "about:blank")
        assert told["title"]
        assert told["detail"]


def test_a_failure_tells_nothing_of_the_inside(app: APIFlask, api: Api, world: World) -> None:
    world.connection.execute("ALTER TABLE site RENAME COLUMN title TO secret_column")
    response = api.get("/api/v1/sites")
    assert response.status_code == 500
    assert "column" not in response.text
    assert response.get_json()["request_id"] == response.headers["X-Request-Id"]


def test_who_is_not_signed_in_is_sent_to_sign_in_by_pages_only(app: APIFlask) -> None:
    client, page = app.test_client(), {"Accept": "text/html,*/*;q=0.8"}
    response = client.get("/api/v1/sites", headers=page)
    assert (response.status_code, response.mimetype) == (401, "application/problem+json")
    response = client.get("/", headers=page)
    assert response.status_code == 303
    assert response.headers["Location"].startswith("/sign-in?next=%2F")


def test_the_description_names_every_route_of_the_api(app: APIFlask) -> None:
    described = app.test_client().get("/api/v1/openapi.json").get_json()
    assert described["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(described).validate()
    routes = {
        (_template(rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(("/api/v1/", "/healthz", "/readyz", "/metrics")) and rule.endpoint != "openapi.spec"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    told = {
        (path, method)
        for path, operations in described["paths"].items()
        for method in operations
        if method != "parameters"
    }
    assert told == routes
    identifiers = [
        operations[method]["operationId"] for operations in described["paths"].values() for method in operations
    ]
    assert len(identifiers) == len(set(identifiers))
    for reference in _references(described):
        node = described
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]
    secured = [operation["security"] for operations in described["paths"].values() for operation in operations.values()]
    assert [] in secured
    assert [{"token": []}, {"session": []}] in secured
    for path, operations in described["paths"].items():
        for operation in operations.values():
            named = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
            assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}
            assert any(status.startswith("2") for status in operation["responses"])


def _template(rule: str) -> str:
    return rule.replace("<", "{").replace(">", "}")


def _references(node: object) -> list[str]:
    if isinstance(node, list):
        return [found for one in node for found in _references(one)]
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for one in node.values() for found in _references(one)]
    return []
