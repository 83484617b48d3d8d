"""What the metaconsole's asynchronous processes have in common: their log, and running until a signal.

The promise: a SIGTERM or SIGINT asks for an orderly end, and what the process can't go on with is one sentence. None
of them works on the schema of another version: one that finds a newer one while it runs ends in order.
"""

import asyncio
import json
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeAlias

import click

from metaconsole.settings import Settings

Serve: TypeAlias = Callable[[Settings, asyncio.Event], Coroutine[Any, Any, None]]


class _Json(logging.Formatter):
    """One JSON object a line, for logs that programs read."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if event := getattr(record, "event", None):
            line["event"] = event
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def log_to_stderr() -> None:
    """Send the log to stderr: readable on a terminal, JSON elsewhere."""
    handler = logging.StreamHandler(sys.stderr)
    readable = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(readable if sys.stderr.isatty() else _Json())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # It tells of every attempt to connect; the store tells of an outage once, and why.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


def run_until_signal(serve: Serve, settings: Settings) -> None:
    """Run serve on a new event loop; its stop event is set by SIGTERM or SIGINT, and when the schema changes."""
    # Not before it is needed: this module is imported by the web too, whose workers are patched before psycopg comes.
    from metaconsole.store.schema import SchemaError

    try:
        asyncio.run(_serve(serve, settings))
    except SchemaError as error:
        raise click.ClickException(str(error)) from error


async def _serve(serve: Serve, settings: Settings) -> None:
    from metaconsole.schema_watch import serve_on_schema

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve_on_schema(serve, settings, stop)
