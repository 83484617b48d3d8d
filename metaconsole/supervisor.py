"""`nephoscope up`: everything on one machine, started in order, kept running, stopped in reverse.

The promise: it gets ready or says why not; whatever ends is started again; and when it ends, by Ctrl-C, SIGTERM or
kill -9, nothing of it runs 15 seconds later.
"""

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from metaconsole import local_satellite, pki, postgres
from metaconsole.auth import accounts
from metaconsole.children import KEEPS_FAILING, Child, last_lines, rotate
from metaconsole.home import DATABASE_ENVIRONMENT, Home, HomeError, Running
from metaconsole.listening import PortError, check_port, local_address, not_ready, public_address, public_url
from metaconsole.postgres_place import Place, PostgresError, find_place
from metaconsole.store import database, enrolment, sites
from metaconsole.store.accounts import find_account
from metaconsole.store.migrate import MigrationError, migrate
from shared.tls import SatelliteIdentity

ADMINISTRATOR: Final = "admin"
_OWN_SERVER_SECONDS: Final = 30.0
_LATE_SECONDS: Final = 20.0
# Below the 15 s in which all is gone. Who is asked together shares the seconds; PostgreSQL's are the keeper's own.
_STOP_SECONDS: Final = (3.0, 3.0, 8.0)


class UpError(Exception):
    """`up` can't go on; the text says why and what helps."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    site: str | None
    http_host: str
    http_port: int
    grpc_host: str
    grpc_port: int
    enrol_port: int  # of grpc_host
    gateways: int = 1  # processes, all on the two ports


def up(home: Home, options: Options, say: Callable[[str], None]) -> None:
    """Run everything until a signal; raises UpError when it can't be started."""
    try:
        home.prepare()
        with home.hold() as alive:
            check_port(options.http_host, options.http_port, "--http-port")
            check_port(options.grpc_host, options.grpc_port, "--grpc-port")
            check_port(options.grpc_host, options.enrol_port, "--enrol-port")
            asyncio.run(Supervisor(home, options, alive, say).run())
    except (HomeError, PortError, PostgresError, MigrationError, accounts.AccountError, ValueError) as error:
        raise UpError(str(error)) from error


class Supervisor:
    """The running `up`."""

    def __init__(self, home: Home, options: Options, alive: int, say: Callable[[str], None]) -> None:
        self._home = home
        self._options = options
        self._alive = alive
        self._say = say
        self._children: dict[str, Child] = {}
        self._asked = asyncio.Event()
        self._stopping = threading.Event()  # the same for what runs in threads

    async def run(self) -> None:
        """Start, wait for a signal, stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup is respected
                loop.add_signal_handler(number, self._ask)
        starting = asyncio.create_task(self._start(), name="start")
        asked = asyncio.create_task(self._asked.wait(), name="asked")
        try:
            await asyncio.wait({starting, asked}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                await asked
        finally:
            self._stopping.set()
            for task in (starting, asked):
                task.cancel()
            await self._stop()

    def _ask(self) -> None:
        if not self._asked.is_set():
            self._say("Stopping …")
        self._asked.set()
        self._stopping.set()

    async def _start(self) -> None:
        url = await self._start_database()
        await asyncio.to_thread(self._prepare, url)
        http_url = public_url(self._options.http_host, self._options.http_port)
        enrolment = public_address(self._options.grpc_host, self._options.enrol_port)
        self._home.write_running(Running(os.getpid(), url, http_url, enrolment))
        self._say(f"Starting the gateway ({self._grpc}), the readers and the web …")
        ports = ("--grpc-port", str(self._options.grpc_port), "--enrol-port", str(self._options.enrol_port))
        grpc = ("--grpc-host", self._options.grpc_host, *ports)
        http = ("--http-host", self._options.http_host, "--http-port", str(self._options.http_port))
        shared = ("--share-port",) if self._options.gateways > 1 else ()
        for name in self._gateways:
            self._launch(name, "metaconsole", "gateway", "--home", str(self._home.path), *grpc, *shared)
        self._launch("readers", "metaconsole", "readers", "--home", str(self._home.path))
        self._launch("compactor", "metaconsole", "compactor", "--home", str(self._home.path))
        self._launch("web", "metaconsole", "web", "--home", str(self._home.path), *http)
        self._launch("satellite", "satellite", "run", "--config", str(self._home.satellite / "satellite.toml"))
        await asyncio.to_thread(self._wait_ready)
        await self._say_ready(url, http_url)

    async def _say_ready(self, url: str, http_url: str) -> None:
        try:
            secret = await asyncio.to_thread(accounts.create_sign_in_link, url, ADMINISTRATOR)
        except accounts.AccountError as error:
            self._say(f"Ready: {http_url} (no sign-in link: {error})")
            return
        self._say("Ready. This link signs you in; it works once, within 10 minutes:")
        self._say(f"  {http_url}/sign-in/link/{secret}")
        self._say(f"Another one: nephoscope user sign-in-link {ADMINISTRATOR}. Ctrl-C stops everything.")

    async def _start_database(self) -> str:
        if own := os.environ.get(DATABASE_ENVIRONMENT):
            self._say("Waiting for the database of NEPHOSCOPE_DATABASE_URL …")
            await asyncio.to_thread(
                postgres.wait_ready, own, lambda: not self._stopping.is_set(), self._say, _OWN_SERVER_SECONDS
            )
            return own
        place = await asyncio.to_thread(self._make_place)
        self._say("Starting PostgreSQL …")
        rotate(self._home.log / "postgresql.log")
        keeper = self._launch("postgresql", "metaconsole", "keep-postgresql", "--home", str(self._home.path))
        url = postgres.url(place)
        try:
            await asyncio.to_thread(postgres.wait_ready, url, lambda: self._may_come(keeper), self._say)
        except PostgresError as error:
            if self._stopping.is_set():
                raise
            tail = "\n".join(f"    {line}" for line in last_lines(self._home.log / "postgresql.log"))
            raise PostgresError(f"{error}\nthe last lines of {self._home.log / 'postgresql.log'}:\n{tail}") from error
        return url

    def _may_come(self, keeper: Child) -> bool:
        return not self._stopping.is_set() and keeper.failures < KEEPS_FAILING

    def _make_place(self) -> Place:
        place = find_place(self._home.postgres)
        if not place.data.exists():
            self._say(f"Making the database in {place.cluster} …")
        postgres.initialise(place)
        return place

    def _prepare(self, url: str) -> None:
        """Bring schema, account, satellite and certificates up to date."""
        with database.connect(url, statement_timeout=0, application="nephoscope up") as connection:
            if applied := migrate(connection):
                self._say(f"Brought the schema to version {applied[-1]}.")
            who = self._who()
            site_id = sites.ensure_site(connection, who.site)
            identity = SatelliteIdentity(site_id, sites.ensure_satellite(connection, site_id, who.name))
            generation = enrolment.generation_of(connection, identity)
            is_first = find_account(connection, ADMINISTRATOR) is None
        if is_first:
            accounts.create_account(url, ADMINISTRATOR, None, "admin")
        now = datetime.now(UTC)
        pki.open_authority(self._home.pki, now)
        pki.renew_gateway(self._home.pki, now)
        pki.renew_satellite(self._home.pki, self._home.satellite, identity, now, generation)
        found = partial(local_satellite.find_sources, self._say)
        local_satellite.keep_config(self._home.satellite, who, self._grpc, found)

    def _who(self) -> local_satellite.Who:
        known, site = local_satellite.read_who(self._home.satellite), self._options.site
        if known is None:
            return local_satellite.Who(site or local_satellite.DEFAULT_SITE, local_satellite.NAME)
        if site not in {None, known.site}:
            raise ValueError(f"the satellite of this home belongs to the site {known.site}, not to {site}")
        return known

    @property
    def _gateways(self) -> list[str]:
        return ["gateway", *(f"gateway-{number}" for number in range(2, self._options.gateways + 1))]

    @property
    def _grpc(self) -> str:
        return local_address(self._options.grpc_host, self._options.grpc_port)

    def _launch(self, name: str, *arguments: str) -> Child:
        log = self._home.log / f"{name}.log" if name != "postgresql" else self._home.log / "keeper.log"
        child = Child(name, arguments, log=log, alive=self._alive, say=self._say)
        self._children[name] = child
        child.start()
        return child

    def _wait_ready(self) -> None:
        """Return when /readyz says yes or a stop is asked; says every 20 s what it waits for."""
        waited = 0.0
        while (why := not_ready(self._options.http_host, self._options.http_port)) and not self._stopping.wait(0.1):
            waited += 0.1
            if waited >= _LATE_SECONDS:
                waited = 0.0
                self._say(f"Not ready yet: {why}")

    async def _stop(self) -> None:
        order = (("satellite",), ("web", "compactor", "readers", *self._gateways), ("postgresql",))
        for names, seconds in zip(order, _STOP_SECONDS, strict=True):
            children = [self._children[name] for name in names if name in self._children]
            for child in children:
                child.ask()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*(child.gone(seconds) for child in children))
