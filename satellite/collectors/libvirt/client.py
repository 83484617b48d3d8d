"""One connection to libvirt: every function here blocks, for a thread of the source.

The one promise: one bulk call reads all guests, and a definition is fetched once, until an event or a new start.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from satellite.collector import SourceUnreachableError
from satellite.collectors.libvirt.documents import DocumentError, GuestDocument, guest_document
from satellite.collectors.libvirt.fallback import Fallback
from satellite.collectors.libvirt.library import library, translated, unsupported

log = logging.getLogger(__name__)

Statistics: TypeAlias = Mapping[str, int | str]
Lifecycle: TypeAlias = Callable[[str, str, int, int], None]  # UUID, name, event, detail

_KEEPALIVE: Final = (5, 3)  # seconds between two probes, probes lost until the connection counts as dead


@dataclass(frozen=True, slots=True)
class Guest:
    """A domain with its statistics, as libvirt names them, and what its definition says."""

    uuid: str
    name: str
    statistics: Statistics
    document: GuestDocument


@dataclass(frozen=True, slots=True)
class Answer:
    """One cycle at an instant (UTC ms): the host's CPU time (ns) and memory (KiB) by libvirt's names, all guests."""

    time_ms: int
    cpu: Mapping[str, int]
    memory: Mapping[str, int]
    cpus: int
    guests: Sequence[Guest]


class Client:
    """A read-only connection. Calls go through one thread at a time; only `forget` and `lost` come from others."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.connection: Any = None
        self._attempt: object = None
        self._lost = False
        self._callback = -1
        self._leaving: list[tuple[Any, int]] = []
        self._documents: dict[str, tuple[int, GuestDocument]] = {}
        self._fallback = Fallback()

    def open(self, lifecycle: Lifecycle) -> None:
        """Connect and ask for events. Raises SourceError."""
        self.leave()
        self._attempt = attempt = object()
        self._lost, self._fallback = False, Fallback()
        self._documents.clear()
        with self.errors():
            connection = library().openReadOnly(self.uri)
            callback = self._watch(connection, lifecycle)
        if self._attempt is not attempt:  # the deadline passed meanwhile, and nobody waits for this connection
            self._leaving.append((connection, callback))
            self.leave()
            return
        self.connection, self._callback = connection, callback

    def abandon(self) -> bool:
        """Give up the connection, also one that is still being opened; return whether there is one to leave."""
        self._attempt = None
        if self.connection is not None:
            self._leaving.append((self.connection, self._callback))
        self.connection, self._callback = None, -1
        return bool(self._leaving)

    def leave(self) -> None:
        """Close what was given up; what is already gone is no error."""
        while self._leaving:
            connection, callback = self._leaving.pop()
            try:
                if callback >= 0:
                    connection.domainEventDeregisterAny(callback)
                connection.close()
            except library().libvirtError as error:
                log.debug("a connection to libvirt at %s ended with: %s", self.uri, error)

    def alive(self) -> Any:
        """Return the connection. Raises SourceUnreachableError when it is closed or was lost."""
        if self.connection is None or self._lost:
            raise SourceUnreachableError(f"libvirt at {self.uri} is not connected: is libvirtd running there?")
        return self.connection

    def forget(self, uuid: str) -> None:
        """Fetch the definition of a guest anew when it is next needed; from any thread."""
        self._documents.pop(uuid, None)

    def answer(self, now_ms: Callable[[], int]) -> Answer:
        """Ask for one cycle. Raises SourceError."""
        connection, time_ms = self.alive(), now_ms()
        with self.errors():
            guests = [guest for domain, raw in self._bulk(connection) if (guest := self._guest(domain, raw))]
            return Answer(
                time_ms=time_ms,
                cpu=self._fallback.optional(connection.getCPUStats, library().VIR_NODE_CPU_STATS_ALL_CPUS),
                memory=self._fallback.optional(connection.getMemoryStats, library().VIR_NODE_MEMORY_STATS_ALL_CELLS),
                cpus=connection.getInfo()[2],
                guests=guests,
            )

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise SourceError instead of libvirt's own errors."""
        try:
            yield
        except library().libvirtError as error:
            raise translated(error, self.uri, self._stands()) from error

    def _stands(self) -> bool:
        """Whether the connection still stands, as far as this end knows."""
        try:
            return self.connection is not None and not self._lost and bool(self.connection.isAlive())
        except library().libvirtError:
            return False

    def _bulk(self, connection: Any) -> Sequence[tuple[Any, Statistics]]:
        libvirt = library()
        wanted = (
            libvirt.VIR_DOMAIN_STATS_STATE
            | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
            | libvirt.VIR_DOMAIN_STATS_BALLOON
            | libvirt.VIR_DOMAIN_STATS_VCPU
            | libvirt.VIR_DOMAIN_STATS_INTERFACE
            | libvirt.VIR_DOMAIN_STATS_BLOCK
        )
        # Without NOWAIT one guest whose monitor is busy holds up all others; only QEMU's driver knows the flag.
        flags = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT if connection.getType() == "QEMU" else 0
        try:
            answer: Sequence[tuple[Any, Statistics]] = connection.getAllDomainStats(wanted, flags)
        except libvirt.libvirtError as error:
            if not unsupported(error):
                raise
            return [(domain, {}) for domain in connection.listAllDomains(0)]
        return answer

    def _guest(self, domain: Any, statistics: Statistics) -> Guest | None:
        """Return a guest; None for one that vanished or is broken, which never costs the others their cycle."""
        try:
            uuid = domain.UUIDString()
            document = self.document(domain, uuid)
            # Only QEMU and Virtuozzo put more than the state into the bulk answer.
            full = statistics if "cpu.time" in statistics else self._fallback.statistics(domain, statistics, document)
            return Guest(uuid, domain.name(), full, document)
        except library().libvirtError as error:
            if self._lost:
                raise
            log.debug("a guest of %s was left out of the cycle: %s", self.uri, error)
            return None

    def document(self, domain: Any, uuid: str) -> GuestDocument:
        """Return what the definition of a domain says, fetched anew after an event and when it was started again."""
        run = domain.ID()
        known = self._documents.get(uuid)
        if known is not None and known[0] == run:
            return known[1]
        try:
            document = guest_document(domain.XMLDesc(0))
        except DocumentError as error:
            log.warning("the definition of guest %s at %s is not used: %s", uuid, self.uri, error)
            document = GuestDocument()
        self._documents[uuid] = (run, document)
        return document

    def _watch(self, connection: Any, lifecycle: Lifecycle) -> int:
        """Register for events, the end of the connection and keepalive, each where the driver has it."""

        def happened(_: Any, domain: Any, event: int, detail: int, __: Any) -> None:
            self.forget(domain.UUIDString())
            lifecycle(domain.UUIDString(), domain.name(), event, detail)

        def closed(_: Any, reason: int, __: Any) -> None:
            log.debug("libvirt at %s closed the connection, reason %s", self.uri, reason)
            if self.connection is connection:
                self._lost = True

        self._fallback.optional(connection.setKeepAlive, *_KEEPALIVE)
        self._fallback.optional(connection.registerCloseCallback, closed, None)
        kind = library().VIR_DOMAIN_EVENT_ID_LIFECYCLE
        callback = self._fallback.optional(connection.domainEventRegisterAny, None, kind, happened, None)
        return callback if isinstance(callback, int) else -1
