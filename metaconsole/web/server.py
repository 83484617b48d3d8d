"""The web's process: gunicorn with two gevent workers.

The one promise: it stops within three seconds, open streams or not. Nothing of the application is imported here: that
happens in the workers, after gevent has patched them.
"""

import errno
import logging
import socket
from typing import Any, Final

from gunicorn.app.base import BaseApplication

from metaconsole.settings import Settings
from shared import lifeline as lifelines

_log: Final = logging.getLogger(__name__)
WORKERS: Final = 2
GRACE_SECONDS: Final = 3
STREAMS: Final = 2_000  # connections of a worker
_WORKER_SECONDS: Final = 60  # a worker that does not stir for so long is replaced
_BACKLOG: Final = 1024


class ListenError(Exception):
    """The address can't be listened on; the sentence says why and what to do."""


def run(settings: Settings, lifeline: int | None) -> None:
    """Serve until SIGTERM or SIGINT, or until the parent that holds the lifeline is gone; raises ListenError."""
    listening = listen(settings.http_host, settings.http_port)
    if lifeline is not None:
        lifelines.watch(lifeline)
    _log.info("the web listens on %s port %d", settings.http_host, settings.http_port)
    _Server(settings, listening.detach()).run()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; raises ListenError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ListenError(f"the web can't listen on {host}: {error.strerror or error}") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise ListenError(f"port {port} of {host} is taken; choose another with --http-port") from error
        raise ListenError(f"the web can't listen on port {port} of {host}: {error.strerror}") from error
    return listening


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn, told everything here and nothing by files or the environment."""

    def __init__(self, settings: Settings, descriptor: int) -> None:
        self._settings = settings
        self._descriptor = descriptor
        super().__init__()

    def load_config(self) -> None:
        values: dict[str, Any] = {
            "bind": [f"fd://{self._descriptor}"],
            "workers": WORKERS,
            "worker_class": "metaconsole.web.worker.Worker",
            "worker_connections": STREAMS,
            "graceful_timeout": GRACE_SECONDS,
            "timeout": _WORKER_SECONDS,
            "keepalive": 5,
            "limit_request_line": 8190,
            "control_socket_disable": True,
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "warning",
            "proc_name": "nephoscope-web",
        }
        for name, value in values.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Make the application, in a worker."""
        from metaconsole.web.app import create_app

        return create_app(self._settings)
