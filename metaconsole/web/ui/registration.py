"""Puts the dashboard into the application: pages rendered on the server, scripts of the bundle for what is live.

The one promise: a page shows what the API says, in the reader's language, and what is not known is shown as not known.
"""

from apiflask import APIFlask

from metaconsole.web.auth.pages import pages as auth_pages
from metaconsole.web.resources.pages import pages as resource_pages
from metaconsole.web.satellites.administer_pages import pages as administer_pages
from metaconsole.web.satellites.pages import pages as satellite_pages
from metaconsole.web.sites.pages import pages as site_pages
from metaconsole.web.ui import context, errors, filters, language
from metaconsole.web.ui.preferences import pages as preference_pages


def register_pages(app: APIFlask) -> None:
    """Add the dashboard's pages, templates, languages and error page to the application."""
    language.install(app)
    filters.install(app)
    context.install(app)
    app.extensions["nephoscope.error_page"] = errors.error_page
    for pages in (preference_pages, auth_pages, site_pages, resource_pages, satellite_pages, administer_pages):
        app.register_blueprint(pages)
