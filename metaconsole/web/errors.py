"""Everything that goes wrong, as RFC 9457 problems for programs and as a page for people.

The one promise: an answer that is not a success says in a sentence what was wrong, and nothing of the inside.
"""

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from apiflask import APIFlask
from apiflask.exceptions import HTTPError
from flask import Response, current_app, g, json, make_response, redirect, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from metaconsole.auth.secrets import BusyError
from metaconsole.store.cursors import CursorError
from metaconsole.store.pool import StoreFullError, StoreTooSlowError, StoreUnavailableError
from metaconsole.store.resources import NotFoundError
from metaconsole.store.samples import QueryTooLargeError
from metaconsole.store.site_settings import UnknownSiteError

_log: Final = logging.getLogger(__name__)
PROBLEM: Final = "application/problem+json"
PAGE_HOOK: Final = "nephoscope.error_page"


class Problem(Exception):  # noqa: N818  # RFC 9457's word
    """An answer other than a success, with a sentence for whoever asked."""

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
        errors: list[dict[str, str]] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = errors


def install(app: APIFlask) -> None:
    """Answer every error of this application as a problem."""
    app.register_error_handler(Problem, answer)
    for error in (HTTPException, HTTPError, Exception):
        app.register_error_handler(error, _translated)


def answer(problem: Problem) -> Response:
    """Return the response to a problem: a page where one was asked for, else problem+json."""
    if _wants_page():
        if problem.status == HTTPStatus.UNAUTHORIZED:
            following = request.full_path.rstrip("?") if request.method == "GET" else "/"
            return make_response(redirect(f"/sign-in?{urlencode({'next': following})}", code=303))
        page: Callable[[int, str, str], str] | None = current_app.extensions.get(PAGE_HOOK)
        if page is not None:
            return make_response(page(problem.status, _title(problem.status), problem.detail), problem.status)
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": _title(problem.status),
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.errors:
        body["errors"] = problem.errors
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        body["request_id"] = g.get("request_id", "")
    response = Response(json.dumps(body), problem.status, mimetype=PROBLEM)
    response.headers.update(problem.headers)
    return response


def _translated(error: Exception) -> ResponseReturnValue:
    return answer(_problem_of(error))


def _problem_of(error: Exception) -> Problem:
    if isinstance(error, HTTPError):
        return _of_validation(error)
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, NotFoundError | UnknownSiteError):
        return Problem(404, "There is no such resource, or it belongs to a site that you may not see.")
    if isinstance(error, CursorError | QueryTooLargeError):
        return Problem(422, f"{error}.")
    if isinstance(error, BusyError | StoreUnavailableError | StoreTooSlowError):
        _log.warning("%s %s: %s", request.method, request.path, error)
        told = _outage(error) if isinstance(error, StoreUnavailableError) else str(error)
        return Problem(503, f"{told[0].upper()}{told[1:]}. Try again in a moment.", {"Retry-After": "5"})
    _log.error("%s %s failed (request %s)", request.method, request.path, g.get("request_id"), exc_info=error)
    return Problem(500, "Something failed here; the metaconsole's log says what, under the id of this request.")


def _outage(error: StoreUnavailableError) -> str:
    if isinstance(error, StoreFullError):
        return "the database's disk is full, so nothing can be changed"
    return "the database can't be reached"


def _of_validation(error: HTTPError) -> Problem:
    fields = [
        {"field": str(field), "message": str(message)}
        for place in (error.detail.values() if isinstance(error.detail, dict) else ())
        for field, messages in place.items()
        for message in messages
    ]
    told = "; ".join(f"{each['field']}: {each['message']}" for each in fields[:10])
    return Problem(error.status_code, told or str(error.message), errors=fields or None)


def _of_http(error: HTTPException) -> Problem:
    if error.code is None or error.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Problem(error.code or 500, error.description or error.name)
    kept = {name: value for name, value in error.get_headers() if name.lower() not in ("content-type", "location")}
    detail = error.description or error.name
    if error.code in (301, 302, 303, 307, 308):
        return Problem(404, "There is nothing here.")
    return Problem(error.code, detail, kept)


def _wants_page() -> bool:
    if request.path.startswith(("/api/", "/healthz", "/readyz", "/metrics")):
        return False
    best = request.accept_mimetypes.best_match(["application/json", PROBLEM, "text/html"], default="application/json")
    return best == "text/html"


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
