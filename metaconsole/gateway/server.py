"""The gateway process: its listeners, its writer and its small duties.

The one promise: it takes nothing that it could lose. It does not start on a PostgreSQL that is not durable, and while
PostgreSQL is away it acknowledges nothing.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio

from metaconsole.gateway.budgets import Budgets
from metaconsole.gateway.certificates import Certificates, keep_certificate
from metaconsole.gateway.enrolment import Enroller, Renewing, enroller, listener
from metaconsole.gateway.files import use_file_limit
from metaconsole.gateway.garbage import keep_frozen
from metaconsole.gateway.liveness import Liveness
from metaconsole.gateway.outage import Outage
from metaconsole.gateway.quotas import Quotas
from metaconsole.gateway.services import Services
from metaconsole.gateway.uplink import Uplink
from metaconsole.gateway.window import Windows
from metaconsole.gateway.writer import Writer
from metaconsole.settings import Settings
from metaconsole.store.database import AsyncDatabase, UnavailableError, connected, require_durable
from metaconsole.store.partitions import ensure_log_partitions
from metaconsole.store.retention import load_rules
from metaconsole.store.series import register_metrics
from shared.batches import MESSAGE_BYTES
from shared.catalogue import catalogue
from shared.pb import enrolment_pb2_grpc, uplink_pb2_grpc
from shared.tls import SERVER_OPTIONS

CHECK_THREADS: Final = 2  # they decode outside the interpreter's lock
STOP_SECONDS: Final = 3.0
CANCEL_SECONDS: Final = 0.2
PARTITIONS_SECONDS: Final = 3600.0
SEND_RECORD: Final = 4096  # bytes
_log = logging.getLogger(__name__)


class GatewayError(Exception):
    """The gateway can't start; the sentence says why and what to do."""


async def serve(settings: Settings, stop: asyncio.Event, *, ready: Callable[[int], None] | None = None) -> None:
    """Serve until stop is set; ready gets the port. Raises GatewayError or NotDurableError.

    While PostgreSQL can't be reached at the start, this waits for it.
    """
    use_file_limit()
    certificates = _certificates(settings.pki)
    server = grpc.aio.server(options=list(_options(settings).items()))
    port = _listen(server, settings.grpc_host, settings.grpc_port, certificates.credentials(of_clients=True), "grpc")
    database = AsyncDatabase(settings.database_url, application="nephoscope gateway")
    await database.open()
    try:
        prepared = await _prepare(settings.database_url, stop)
        if prepared is None:
            return
        metrics, windows = prepared
        with (
            ThreadPoolExecutor(CHECK_THREADS, thread_name_prefix="check") as threads,
            enroller(settings, certificates, port) as enrols,
        ):
            writer, liveness, budgets = Writer(settings.database_url), Liveness(database), Budgets(database)
            outage = Outage("series definitions")
            shared = (windows, outage, budgets, certificates, Quotas())
            services = Services(database, writer, liveness, threads, metrics, *shared)
            uplink = Uplink(services)
            enrolment_pb2_grpc.add_EnrolmentServicer_to_server(Renewing(enrols), server)  # type: ignore[no-untyped-call]
            uplink_pb2_grpc.add_UplinkServicer_to_server(uplink, server)  # type: ignore[no-untyped-call]
            duties: dict[str, Coroutine[Any, Any, None]] = {
                "writer": writer.run(),
                "watch": uplink.watch(),
                "revoked": uplink.watch_revoked(),
                "trust": uplink.watch_trust(),
                "room": uplink.watch_room(),
                "certificate": keep_certificate(settings.pki),
                "notify": writer.notify(),
                "liveness": liveness.run(),
                "budgets": budgets.run(),
                "windows": windows.run(database),
                "partitions": _keep_partitions(database),
                "garbage": keep_frozen(lambda: uplink.ended),
            }
            async with _running(duties) as tasks, _joining(settings, certificates, enrols):
                await server.start()
                _log.info("the gateway listens on %s:%s", settings.grpc_host, port, extra={"event": "gateway.listens"})
                if ready is not None:
                    ready(port)
                await _first(stop, tasks)
                uplink.end_all("the gateway is stopping; connect again")
                await server.stop(STOP_SECONDS)
                with contextlib.suppress(TimeoutError):  # who stops us does not wait for a PostgreSQL that is away
                    await asyncio.wait_for(liveness.flush(), STOP_SECONDS)
    finally:
        await server.stop(None)
        await database.close()


def _certificates(pki: Path) -> Certificates:
    try:
        return Certificates(pki)
    except (OSError, ValueError) as error:
        raise GatewayError(f"the gateway's certificate can't be read: {error}") from error


@contextlib.asynccontextmanager
async def _joining(settings: Settings, certificates: Certificates, enrols: Enroller) -> AsyncIterator[None]:
    """Serve the enrolment port, where there is one."""
    if settings.enrol_port is None:
        yield
        return
    server = listener(_options(settings), enrols)
    credentials = certificates.credentials(of_clients=False)
    port = _listen(server, settings.grpc_host, settings.enrol_port, credentials, "enrol")
    await server.start()
    _log.info("satellites join at %s:%s", settings.grpc_host, port, extra={"event": "enrolment.listens"})
    try:
        yield
    finally:
        await server.stop(None)


def _options(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = dict(SERVER_OPTIONS)
    # A frame somewhat over the limit is refused by itself, with a reason; the transport would end the whole session.
    options["grpc.max_receive_message_length"] = 2 * MESSAGE_BYTES
    # Of what the gateway sends, which is acknowledgements: the transport keeps a buffer of this size for each session.
    options["grpc.tsi.max_frame_size"] = SEND_RECORD
    # Gateways that share a port all say so: what is bound without, theirs or another program's, keeps them off.
    options["grpc.so_reuseport"] = int(settings.grpc_shared)
    return options


def _listen(server: grpc.aio.Server, host: str, port: int, credentials: grpc.ServerCredentials, option: str) -> int:
    address = f"{host}:{port}"
    try:
        bound = server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise GatewayError(
            f"the gateway can't listen on {address}: {error}; choose another port with --{option}-port"
        ) from error
    if not bound:
        raise GatewayError(
            f"the gateway can't listen on {address}: the port is taken; choose another with --{option}-port"
        )
    return bound


async def _prepare(url: str, stop: asyncio.Event) -> tuple[dict[str, int], Windows] | None:
    """Return the metrics' ids and the windows once PostgreSQL answers and is durable; None when stopped before."""
    told = False
    while not stop.is_set():
        try:
            # Not of the pool, which tries for long before it says why not.
            async with connected(url, application="nephoscope gateway") as connection:
                await require_durable(connection)
                await ensure_log_partitions(connection, datetime.now(UTC))
                windows = Windows(await load_rules(connection))
                return await register_metrics(connection, list(catalogue())), windows
        except UnavailableError as error:
            if not told:
                _log.warning("the gateway waits for PostgreSQL: %s", error)
            told = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1.0)
    return None


async def _keep_partitions(database: AsyncDatabase) -> None:
    while True:
        await asyncio.sleep(PARTITIONS_SECONDS)
        try:
            async with database.connection() as connection:
                await ensure_log_partitions(connection, datetime.now(UTC))
        except UnavailableError as error:
            _log.warning("partitions of the log were not made ahead, next try in an hour: %s", error)


@contextlib.asynccontextmanager
async def _running(duties: dict[str, Coroutine[Any, Any, None]]) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(duty, name=name) for name, duty in duties.items()]
    try:
        yield tasks
    finally:
        pending = set(tasks)
        while pending:
            # Again and again: Python 3.11's wait_for, by which a pool waits for a connection, can lose a cancellation.
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=CANCEL_SECONDS)


async def _first(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Return when stop is set; a duty that dies ends the process visibly instead of leaving it limping."""
    waiting = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        waiting.cancel()
