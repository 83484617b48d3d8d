"""The application: every feature, the checks of every request, and the description of the API.

The one promise: making it opens nothing, neither files nor connections, so that a server may fork afterwards.
"""

from typing import Any, Final

from apiflask import APIFlask

from metaconsole.settings import Settings
from metaconsole.web import errors, openapi, security, services
from metaconsole.web.auth.api import api as auth_api
from metaconsole.web.auth.api import links
from metaconsole.web.catalogue.api import api as catalogue_api
from metaconsole.web.json import Json
from metaconsole.web.live.api import api as live_api
from metaconsole.web.query.api import api as query_api
from metaconsole.web.resources.api import api as resources_api
from metaconsole.web.satellites.api import api as satellites_api
from metaconsole.web.sites.api import api as sites_api
from metaconsole.web.sources.api import api as sources_api
from metaconsole.web.system.api import api as system_api
from metaconsole.web.ui.registration import register_pages
from shared import __version__

_FEATURES: Final[tuple[Any, ...]] = (
    auth_api,
    links,
    catalogue_api,
    live_api,
    query_api,
    resources_api,
    satellites_api,
    sites_api,
    sources_api,
    system_api,
)


def create_app(settings: Settings) -> APIFlask:
    """Make the application."""
    app = APIFlask(
        "metaconsole.web",
        title="Nephoscope",
        version=__version__,
        spec_path="/api/v1/openapi.json",
        docs_path=None,
        json_errors=False,
    )
    app.json = Json(app)
    services.install(app, settings)
    errors.install(app)
    security.install(app)
    openapi.install(app)
    for feature in _FEATURES:
        app.register_blueprint(feature)
    register_pages(app)
    return app
