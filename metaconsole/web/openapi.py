"""What the description of the API says of all routes alike: who may ask, and what an error looks like.

The one promise: every route below /api is described, with its errors, in OpenAPI 3.1.
"""

from typing import Any, Final

from apiflask import APIFlask

from metaconsole.web.errors import PROBLEM
from metaconsole.web.security import COOKIE
from metaconsole.web.shapes import ProblemShape

_OPEN: Final = frozenset({"/healthz", "/readyz", "/api/v1/sign-in"})
_METHODS: Final = ("get", "post", "put", "patch", "delete")


def install(app: APIFlask) -> None:
    """Describe the application's API."""
    app.config.update(
        OPENAPI_VERSION="3.1.0",
        DESCRIPTION="Multi-site monitor of virtual environments. Times are UTC milliseconds, ids are text.",
        SECURITY_SCHEMES={
            "token": {"type": "http", "scheme": "bearer", "description": "nephoscope token create"},
            "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
        },
        AUTO_VALIDATION_ERROR_RESPONSE=False,
        AUTO_AUTH_ERROR_RESPONSE=False,
        AUTO_404_RESPONSE=False,
        AUTO_SERVERS=False,  # whoever asks first would be named to all others
        VALIDATION_ERROR_DESCRIPTION="The request is not valid.",
    )
    app.spec_processor(_complete)


def _complete(spec: dict[Any, Any] | str) -> dict[Any, Any] | str:
    assert isinstance(spec, dict)
    schemas = spec.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = ProblemShape.model_json_schema()
    schemas.pop("HTTPError", None)  # APIFlask's own, which nothing here answers with
    for path, operations in spec["paths"].items():
        for method in _METHODS:
            if method in operations:
                _complete_operation(path, operations[method])
    return spec


def _complete_operation(path: str, operation: dict[str, Any]) -> None:
    operation["security"] = [] if path in _OPEN else [{"token": []}, {"session": []}]
    responses = operation["responses"]
    if path.startswith("/api/"):
        for status, text in (
            ("401", "Not signed in"),
            ("403", "Not allowed"),
            ("422", "Not valid"),
            ("503", "Not ready"),
        ):
            responses.setdefault(status, {"description": text})
    for status, response in responses.items():
        if path == "/readyz":
            response["content"] = responses["200"]["content"]
        elif int(status) >= 400:
            response["content"] = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
