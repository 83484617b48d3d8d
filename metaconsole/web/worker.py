"""A gevent worker of gunicorn that stops at once: streams are told to end, idle connections are not waited for.

The one promise: two seconds after it was asked to, it is gone, and requests that were quick have been answered.
"""

import sys
from typing import Any, Final

import gevent
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.workers.ggevent import GeventWorker

_BEAT: Final = 1.0  # seconds between two signs of life
_DRAIN: Final = 1.5  # seconds for requests in flight
_KILL: Final = 0.3


class Worker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """GeventWorker waits by sleeping whole seconds; this one waits for events."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._stop: Event | None = None  # made in the worker, on its own hub

    def init_process(self) -> None:
        """Patch, load the application and run; raises RuntimeError when psycopg could not work with gevent."""
        if "psycopg" in sys.modules:
            raise RuntimeError("psycopg was imported before gevent could patch what it waits with")
        super().init_process()

    def run(self) -> None:
        """Serve until asked to stop."""
        self._stop = Event()
        self._open_services()
        servers = [self._serve(listener) for listener in self.sockets]
        while self.alive:
            self.notify()
            self._stop.wait(_BEAT)
        for server in servers:
            server.close()
        # Streams end by themselves when their hub closes; the pool of connections empties.
        closing = gevent.spawn(self._close_services)
        pools = [server.pool for server in servers]
        gevent.joinall([closing, *(gevent.spawn(pool.join) for pool in pools)], timeout=_DRAIN)
        for pool in pools:
            pool.kill(timeout=_KILL)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to stop; called in a signal handler."""
        super().handle_exit(sig, frame)
        if self._stop is not None:
            self._stop.set()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what failed; that an idle connection was closed by `run` is no failure."""
        if not isinstance(exc, gevent.GreenletExit):
            super().handle_error(req, client, addr, exc)

    def _serve(self, listener: Any) -> StreamServer:
        listener.setblocking(1)
        server = StreamServer(
            listener,
            handle=lambda client, address: self.handle(listener, client, address),
            spawn=Pool(self.worker_connections),
        )
        server.max_accept = 1  # leave the next connection to the other worker
        server.start()
        return server

    def _open_services(self) -> None:
        from metaconsole.web.services import services

        services(self.wsgi).database.open()

    def _close_services(self) -> None:
        from metaconsole.web.services import services

        services(self.wsgi).close()
