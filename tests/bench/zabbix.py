"""The peer Zabbix server, from Debian's package, on the embedded PostgreSQL with the settings that ours runs with.

Its items are trapper items, inserted by SQL, so that it polls nothing and evaluates no trigger. It answers before the
values are in PostgreSQL: what counts is the rows of its history tables.
"""

import contextlib
import gzip
import random
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import numpy as np
import psycopg
from fixtures.stack import Database
from fixtures.waiting import wait_for
from psycopg.conninfo import make_conninfo

from bench import copy_feeder, mix, peers, progress, zabbix_sender
from bench.findings import Findings
from bench.plan import Plan
from bench.zabbix_feeder import host

PROGRAM: Final = "zabbix_server"
PACKAGE: Final = "zabbix-server-pgsql"
DATABASE: Final = "zabbix"
FILES: Final = Path("/usr/share/zabbix-server-pgsql")
PREPARED: Final = 300  # cycles of 10,000 values that each feeder encodes before the start: what it takes in 70 s
START_SECONDS: Final = 60
PORTS: Final = range(20_000, 32_768)  # it takes no higher one, and the kernel gives none so low
SETTINGS: Final = {
    "StartTrappers": "8",
    "StartDBSyncers": "4",
    "CacheSize": "256M",
    "HistoryCacheSize": "256M",
    "HistoryIndexCacheSize": "64M",
    "TrendCacheSize": "128M",
    "ValueCacheSize": "64M",
    "AllowUnsupportedDBVersions": "1",  # 6.0 knows PostgreSQL up to 15
}
# Of a file of 30 MB with templates.
_NEEDED: Final = tuple(f"INSERT INTO {table} " for table in ("role", "users", "usrgrp", "hstgrp", "config"))
_TRAPPER: Final = 2
_FLOAT, _UNSIGNED = 0, 3
_HOSTS: Final = """
INSERT INTO hosts (hostid, host, name, status)
SELECT 100000 + place, name, name, 0 FROM unnest(%(names)s::text[]) WITH ORDINALITY AS wanted (name, place)
"""
_ITEMS: Final = """
INSERT INTO items (itemid, type, hostid, name, key_, delay, value_type)
SELECT 1000000 + row_number() OVER (), %(trapper)s, hostid, key, key, '0', value_type
FROM hosts, unnest(%(keys)s::text[], %(types)s::int[]) AS wanted (key, value_type) WHERE hostid > 100000
"""
_STATES: Final = "INSERT INTO item_rtdata (itemid) SELECT itemid FROM items"
_ROWS: Final = "SELECT (SELECT count(*) FROM history) + (SELECT count(*) FROM history_uint)"
_VALUES: Final = """
SELECT clock, value::bigint FROM history_uint JOIN items USING (itemid) JOIN hosts USING (hostid)
WHERE key_ = %(key)s AND host = %(host)s ORDER BY clock
"""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of its history, counted in its database."""

    connection: psycopg.Connection[Any]

    def sum(self) -> int:
        """Return how many there are."""
        row = self.connection.execute(_ROWS).fetchone()
        return 0 if row is None else int(row[0])


def run(database: Database, folder: Path, plan: Plan, start_ms: int, found: Findings) -> progress.Span:
    """Measure as many feeders as there are satellites, with their data; raises AbsentError."""
    program = peers.find(PROGRAM, PACKAGE)
    settings = ", ".join(f"{name}={value}" for name, value in SETTINGS.items())
    found.say(f"Zabbix server {peers.version(PACKAGE)}: {settings}, else its defaults; trapper items without triggers")
    url = _prepare(database, plan)
    counts = progress.create(folder / "zabbix.progress", plan.satellites)
    with server(program, database) as (port, process), psycopg.connect(url, autocommit=True) as connection:
        tail = (plan.guests, start_ms, PREPARED)
        with peers.feeders("bench.zabbix_feeder", plan.satellites, (port, folder / "zabbix.progress"), tail) as alive:
            wait_for(lambda: counts.all() or not alive(), START_SECONDS, "every feeder of Zabbix delivers")
            roots = {"server": process.pid, "postgres": database.pid}
            span = progress.measure(Rows(connection), roots, plan.warm_up, plan.seconds)
    with psycopg.connect(url) as connection:
        stored = Rows(connection).sum()
        assert stored == counts.sum(), f"Zabbix took {counts.sum()} values and stored {stored}"
        _check(connection, plan, start_ms)
    return span


@contextlib.contextmanager
def server(program: str, database: Database) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run a server as the user that PostgreSQL runs as; yields its port and process."""
    with tempfile.TemporaryDirectory(prefix="nephoscope-zabbix-") as scratch:  # its sockets need a short path
        home, port = Path(scratch), _free_port()
        config = _configure(home, port, database)
        log = database.log.with_name("zabbix.log")
        with peers.server([program, "-f", "-c", str(config)], log, database.place.identity()) as process:
            wait_for(lambda: process.poll() is not None or _answers(port), START_SECONDS, "Zabbix server answers")
            assert process.poll() is None, log.read_text(encoding="utf-8", errors="replace")[-2000:]
            yield port, process


def _configure(home: Path, port: int, database: Database) -> Path:
    """Write its configuration into a folder that becomes its user's; return the file."""
    parts = urlsplit(database.url)
    settings = SETTINGS | {
        "ListenIP": "127.0.0.1",
        "ListenPort": str(port),
        "LogType": "console",
        "PidFile": str(home / "server.pid"),
        "SocketDir": str(home),
        "DBHost": str(database.place.sockets),
        "DBName": DATABASE,
        "DBUser": parts.username or "",
        "DBPassword": unquote(parts.password or ""),
    }
    config = home / "server.conf"
    config.touch(mode=0o600)
    config.write_text("".join(f"{name}={value}\n" for name, value in settings.items()), encoding="utf-8")
    for path in (home, config):
        database.place.give(path)
    return config


def _prepare(database: Database, plan: Plan) -> str:
    """Make its database with hosts and items; return how to connect."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}")
    url = make_conninfo(database.url, dbname=DATABASE)
    numbers = {"f": _FLOAT, "i": _UNSIGNED}
    data = mix.generate(0, 1, 1)
    items = {
        "keys": list(mix.METRICS),
        "types": [numbers[data.at(metric, 0).dtype.kind] for metric in mix.METRICS],
        "trapper": _TRAPPER,
    }
    names = [host(number, guest) for number in range(plan.satellites) for guest in range(plan.guests)]
    with psycopg.connect(url) as connection:
        connection.execute(gzip.decompress((FILES / "schema.sql.gz").read_bytes()))
        with gzip.open(FILES / "data.sql.gz", "rt", encoding="utf-8") as lines:
            connection.execute("".join(line for line in lines if line.startswith(_NEEDED)).encode())
        connection.execute(_HOSTS, {"names": names})
        connection.execute(_ITEMS, items)
        connection.execute(_STATES)
    return url


def _check(connection: psycopg.Connection[Any], plan: Plan, start_ms: int) -> None:
    """Compare one item of each feeder, every value of it, with the mix."""
    metric, guest = mix.COUNTERS[0], plan.guests // 2
    for number in range(plan.satellites):
        rows = connection.execute(_VALUES, {"key": metric, "host": host(number, guest)}).fetchall()
        data = mix.generate(number, plan.guests, copy_feeder.CYCLES)
        expected = [
            ((start_ms + cycle * mix.INTERVAL_MS) // 1000, int(data.at(metric, cycle)[guest]))
            for cycle in range(len(rows))
        ]
        assert np.array_equal(rows, expected), f"{metric} of {host(number, guest)} is not what was sent"


def _free_port() -> int:
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("none of 100 ports is free")


def _answers(port: int) -> bool:
    try:
        zabbix_sender.send(port, zabbix_sender.request([]))
    except (OSError, zabbix_sender.SenderError):
        return False
    return True
