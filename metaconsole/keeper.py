"""The keeper: the process that owns the embedded PostgreSQL and does nothing else.

The promise: when the supervisor is gone, however it went, PostgreSQL is stopped fast; when the keeper itself is killed,
the kernel stops PostgreSQL for it; and when PostgreSQL ends by itself, the keeper says so by ending.
"""

import os
import select
import signal
import sys

from metaconsole import postgres
from metaconsole.home import Home
from metaconsole.postgres_place import PostgresError, find_place


def keep(home: Home, lifeline: int) -> int:
    """Run PostgreSQL until the lifeline ends or SIGTERM comes; return the exit status."""
    asked, ask = os.pipe()
    os.set_blocking(ask, False)
    signal.set_wakeup_fd(ask, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda *_: None)  # the wake-up descriptor tells
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        server = postgres.start(find_place(home.postgres), home.log / "postgresql.log")
    except PostgresError as error:
        print(error, file=sys.stderr)
        return 1
    ended = os.pidfd_open(server.pid)
    ready, _, _ = select.select([lifeline, asked, ended], [], [])
    if ended in ready:
        print(f"PostgreSQL ended by itself: {server.process.wait()}", file=sys.stderr)
        return 1
    server.stop(fast_seconds=4.0, immediate_seconds=2.0)  # within what the supervisor waits
    return 0
