"""What the views work with: settings, the database, the live view and the stream of its news.

The one promise: nothing is opened before it is used, so that an application made before a fork shares nothing.
"""

from dataclasses import dataclass
from typing import Final

from flask import Flask, current_app

from metaconsole.settings import Settings
from metaconsole.store.pool import Database
from metaconsole.web.live.hub import Hub
from metaconsole.web.live.latest import Latest
from metaconsole.web.query.directory import Directory

_KEY: Final = "nephoscope"


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of the application that outlive a request."""

    settings: Settings
    database: Database
    live: Latest
    hub: Hub
    directory: Directory

    def close(self) -> None:
        """End the streams and close the connections; works twice."""
        self.hub.close()
        self.database.close()


def install(app: Flask, settings: Settings) -> Services:
    """Give the application its services."""
    database = Database(settings.database_url)
    made = Services(settings, database, Latest(settings.run), Hub(database), Directory())
    app.extensions[_KEY] = made
    return made


def services(app: Flask | None = None) -> Services:
    """Return the services of this application, or of the request's."""
    found: Services = (app or current_app).extensions[_KEY]
    return found
