"""The service Enrolment: Join at a listener of its own, Renew beside Uplink.

The one promise: what is signed is a key whose holder proved to have it, for the identity that a token or a certificate
gives, never for one that a message names; enrolment connects to nothing but PostgreSQL.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from uuid import UUID

import grpc
import grpc.aio
from cryptography import x509

from metaconsole import pki
from metaconsole.gateway.attempts import Attempts
from metaconsole.gateway.certificates import Certificates
from metaconsole.gateway.peers import AnyContext, address_of, leaf_of
from metaconsole.pki import PublicKey
from metaconsole.settings import Settings
from metaconsole.signing_request import RequestError, key_of
from metaconsole.store import enrolment
from metaconsole.store.enrolment import Admission, EnrolmentError, ReusedError
from metaconsole.store.pool import Database, StoreTooSlowError, StoreUnavailableError
from shared.addresses import join
from shared.certificates import Leaf, read_leaf
from shared.join_token import digest
from shared.pb import enrolment_pb2, enrolment_pb2_grpc

MESSAGE_BYTES: Final = 32 * 1024
CALLS: Final = 64  # at a time
THREADS: Final = 2
PATIENCE: Final = 10.0  # seconds for a connection to PostgreSQL
CLOCK_MS: Final = 5 * 60 * 1000  # what a satellite's clock may be off: instants further ahead are refused later on
_MOST_MS: Final = 100 * 366 * 86_400_000  # of a clock that is off, told as it is
JOINS: Final = (60, 1.0)  # failures in a row of a peer, and seconds after which it may fail once more
RENEWALS: Final = (10, 60.0)
LISTENER_OPTIONS: Final[tuple[tuple[str, int], ...]] = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", 256 * 1024),
    ("grpc.max_metadata_size", 8 * 1024),
    ("grpc.max_connection_idle_ms", 10_000),
    ("grpc.max_connection_age_ms", 60_000),
    ("grpc.server_handshake_timeout_ms", 10_000),
)
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is presented: of which site it says it is, and the hash of its secret."""

    site: str
    hash: bytes

    def __str__(self) -> str:
        return f"{self.hash[:4].hex()} of site {self.site!r}"


@dataclass(frozen=True, slots=True)
class Enroller:
    """Decides and signs, in threads; grpc_port is told to satellites whose token names no uplink."""

    database: Database
    certificates: Certificates
    threads: Executor
    grpc_port: int

    def join(self, token: Token, key: PublicKey, peer: str, folder: UUID | None) -> enrolment_pb2.Certificate:
        """Use a token up and certify the key. Raises what the store raises, OSError and ValueError."""
        with self.database.write() as connection:
            admission = enrolment.consume_token(connection, token.site, token.hash, peer, folder)
            answer, until, authority = self._certify(key, admission)
            enrolment.certified(connection, admission, until, authority)
        answer.uplinks.extend(admission.uplinks or [join(admission.host, self.grpc_port)])
        return answer

    def renew(self, key: PublicKey, leaf: Leaf) -> enrolment_pb2.Certificate:
        """Certify a new key of the satellite that a certificate names. Raises as join does."""
        with self.database.write() as connection:
            admission = enrolment.admit_renewal(connection, leaf.identity, leaf.generation)
            answer, until, authority = self._certify(key, admission)
            enrolment.certified(connection, admission, until, authority)
        return answer

    def note_reuse(self, token: Token, peer: str) -> None:
        """Put a reused token on the audit trail."""
        with self.database.write() as connection:
            enrolment.note_reuse(connection, token.site, token.hash, peer)

    def _certify(self, key: PublicKey, admission: Admission) -> tuple[enrolment_pb2.Certificate, datetime, str]:
        now = datetime.now(UTC)
        authority = pki.signing_authority(self.certificates.pki, now)
        pem = pki.certify_satellite(authority, key, admission.identity, admission.generation, now)
        leaf = read_leaf(x509.load_pem_x509_certificate(pem))
        answer = enrolment_pb2.Certificate(
            certificate_pem=pem,
            trust_bundle_pem=self.certificates.now().trust,
            satellite_id=str(admission.identity.satellite_id),
            site=admission.site,
            name=admission.name,
            server_name=self.certificates.now().server_name,
            renew_after_ms=int(leaf.renew_at().timestamp() * 1000),
        )
        return answer, leaf.ends, leaf.authority


class Joining(enrolment_pb2_grpc.EnrolmentServicer):
    """Join alone; whoever comes has no certificate yet."""

    def __init__(self, enroller: Enroller) -> None:
        self._enroller = enroller
        self._attempts = Attempts(*JOINS)

    async def Join(  # noqa: N802  # the contract's name
        self, request: enrolment_pb2.JoinRequest, context: AnyContext
    ) -> enrolment_pb2.Certificate:
        """Exchange a token and a signing request for a certificate."""
        peer = address_of(context)
        if wait := self._attempts.wait(peer):
            sentence = f"too many attempts to join came from {peer}: try again in {int(wait) + 1} s"
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, sentence)
        self._attempts.spend(peer)  # counts as a failure until it is none: many at once can't all pass
        if off := _clock_sentence(request.now_ms):
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, off)
        try:
            key = key_of(request.signing_request_der)
            folder = UUID(request.satellite_id) if request.satellite_id else None
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        token = Token(request.site[:100].replace("\0", " "), digest(request.token_secret))
        answer = await self._join(token, key, peer, folder, context)
        self._attempts.forgive(peer)
        told = (answer.name, answer.site, peer, request.version[:100])
        _log.info("satellite %s of site %s joined from %s, version %r", *told, extra={"event": "satellite.joined"})
        return answer

    async def _join(
        self, token: Token, key: PublicKey, peer: str, folder: UUID | None, context: AnyContext
    ) -> enrolment_pb2.Certificate:
        try:
            return await _run(self._enroller, lambda: self._enroller.join(token, key, peer, folder), context)
        except ReusedError as error:
            told = {"event": "security.token_reused"}
            _log.warning("token %s was presented again, from %s: %s", token, peer, error, extra=told)
            await _run(self._enroller, lambda: self._enroller.note_reuse(token, peer), context)
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
        except EnrolmentError as error:
            told = {"event": "security.join_refused"}
            _log.warning("token %s is refused, from %s: %s", token, peer, error, extra=told)
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))


class Renewing(enrolment_pb2_grpc.EnrolmentServicer):
    """Renew alone, where the handshake has verified a certificate."""

    def __init__(self, enroller: Enroller) -> None:
        self._enroller = enroller
        self._attempts = Attempts(*RENEWALS)

    async def Renew(  # noqa: N802  # the contract's name
        self, request: enrolment_pb2.RenewRequest, context: AnyContext
    ) -> enrolment_pb2.Certificate:
        """Exchange a valid certificate for a new one over a new key."""
        peer = address_of(context)
        try:
            leaf = leaf_of(context)
            key = key_of(request.signing_request_der)
        except RequestError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except ValueError as error:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
        if wait := self._attempts.wait(leaf.identity):
            sentence = f"this satellite renews too often: try again in {int(wait) + 1} s"
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, sentence)
        self._attempts.spend(leaf.identity)
        try:
            answer = await _run(self._enroller, lambda: self._enroller.renew(key, leaf), context)
        except EnrolmentError as error:
            told = {"event": "security.renewal_refused"}
            _log.warning("a renewal is refused, from %s: %s", peer, error, extra=told)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error))
        _log.info("satellite %s of site %s renewed its certificate", answer.name, answer.site)
        return answer


@contextmanager
def enroller(settings: Settings, certificates: Certificates, grpc_port: int) -> Iterator[Enroller]:
    """Make what decides and signs, and close it in the end."""
    database = Database(settings.database_url, THREADS, patience=PATIENCE, application="nephoscope gateway enrolment")
    with ThreadPoolExecutor(THREADS, thread_name_prefix="enrol") as threads:
        try:
            yield Enroller(database, certificates, threads, grpc_port)
        finally:
            database.close()


def listener(options: dict[str, Any], enroller: Enroller) -> grpc.aio.Server:
    """Return the server of Join, without a port; options are those that gateways share."""
    bounded = {**options, **dict(LISTENER_OPTIONS)}
    server = grpc.aio.server(options=list(bounded.items()), maximum_concurrent_rpcs=CALLS)
    enrolment_pb2_grpc.add_EnrolmentServicer_to_server(Joining(enroller), server)  # type: ignore[no-untyped-call]
    return server


def _clock_sentence(satellite_ms: int) -> str:
    """Return why a satellite whose clock shows this can't join, empty when it can; 0 is not told."""
    off = satellite_ms - time.time_ns() // 1_000_000
    if not satellite_ms or abs(off) <= CLOCK_MS:
        return ""
    hours, minutes = divmod(min(abs(off), _MOST_MS) // 60_000, 60)
    where = "ahead of" if off > 0 else "behind"
    return (
        f"the clock of this machine is {hours} h {minutes} min {where} the metaconsole's: "
        "set it (timedatectl set-ntp true) and join again; the token is still good"
    )


async def _run(enroller: Enroller, work: Callable[[], _T], context: AnyContext) -> _T:  # noqa: RET503  # abort raises
    """Do it in a thread; what is wrong at this end becomes a sentence that tells nothing of the inside."""
    try:
        return await asyncio.get_running_loop().run_in_executor(enroller.threads, work)
    except EnrolmentError:
        raise
    except (StoreUnavailableError, StoreTooSlowError) as error:
        _log.warning("enrolment waits for PostgreSQL: %s", error, extra={"event": "store.lost"})
        sentence = "the metaconsole's database can't be reached: try again in a moment"
    except (OSError, ValueError):
        _log.exception("the certificate authority can't be used", extra={"event": "authority.unusable"})
        sentence = "the metaconsole can't use its certificate authority: its log says why"
    await context.abort(grpc.StatusCode.UNAVAILABLE, sentence)
