"""HTTPS to a vSphere server, counted and bounded: what was asked, how much came, how long the server took.

The one promise: no answer grows past its bound, none is waited for past its time, and the certificate
is always checked.
"""

import hashlib
import socket
import ssl
import threading
import time
from dataclasses import dataclass, replace
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final

from satellite.collectors.vsphere.config import VsphereConfig

ANSWER_BYTES: Final = 256 * 2**20
_WAITING: Final = b"<maxWaitSeconds>"
_NOT_WAITING: Final = b"<maxWaitSeconds>0<"


@dataclass(slots=True)
class Traffic:
    """What a server was asked since the start; seconds from the end of a request to the head of its answer.

    A call that waits for a change at the server keeps it waiting, not busy: its seconds are left out.
    """

    calls: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    seconds: float = 0.0


class Meter:
    """Counts the traffic of all connections to one server; from any thread."""

    def __init__(self) -> None:
        self._traffic = Traffic()
        self._lock = threading.Lock()

    def add(self, calls: int = 0, sent: int = 0, received: int = 0, seconds: float = 0.0) -> None:
        """Count."""
        with self._lock:
            traffic = self._traffic
            traffic.calls += calls
            traffic.bytes_sent += sent
            traffic.bytes_received += received
            traffic.seconds += seconds

    def read(self) -> Traffic:
        """Return what was counted until now."""
        with self._lock:
            return replace(self._traffic)


class _Answer(HTTPResponse):
    """An answer that is counted as it is read, and refused past its bound."""

    meter: Meter | None = None
    _read_bytes = 0

    def read(self, amt: int | None = None) -> bytes:
        """Read as the parser asks. Raises HTTPException past the bound."""
        part = super().read(amt if amt is not None else ANSWER_BYTES)
        self._read_bytes += len(part)
        if self.meter is not None:
            self.meter.add(received=len(part))
        if self._read_bytes >= ANSWER_BYTES:
            self.close()
            raise HTTPException(f"an answer of more than {ANSWER_BYTES // 2**20} MiB is not read")
        return part


class Connections:
    """Makes the connections of one session and can cut them all, also those that a thread is waiting on."""

    def __init__(self, config: VsphereConfig, meter: Meter) -> None:
        """Take trust and counters from the source's configuration. Raises OSError for an unreadable ca_file."""
        self._meter = meter
        self._pin = (config.fingerprint or "").replace(":", "").lower()
        self._context = ssl.create_default_context(cafile=config.ca_file)
        if self._pin:  # the certificate itself is compared, after the handshake and before anything is sent
            self._context.check_hostname, self._context.verify_mode = False, ssl.CERT_NONE
        self._open: set[_Connection] = set()
        self._cut = False

    def make(self, host: str, port: int, timeout: float) -> "_Connection":
        """Return a connection that is not connected yet. Raises ConnectionAbortedError once all were cut."""
        if self._cut:
            raise ConnectionAbortedError("the session was given up")
        return _Connection(host.strip("[]"), port, timeout, self._context, self._pin, self._meter, self._open)

    def cut(self) -> None:
        """End all connections at once, from any thread: whoever waits on one gets an OSError."""
        self._cut = True
        for connection in list(self._open):
            connection.cut()


class _Connection(HTTPSConnection):
    response_class = _Answer

    def __init__(
        self,
        host: str,
        port: int,
        timeout: float,
        context: ssl.SSLContext,
        pin: str,
        meter: Meter,
        among: "set[_Connection]",
    ) -> None:
        super().__init__(host, port, timeout=timeout, context=context)
        self._pin, self._meter, self._among = pin, meter, among
        self._asked = 0.0
        self._waits = False
        self._answer: HTTPResponse | None = None

    def connect(self) -> None:
        super().connect()
        self._among.add(self)
        if self._pin and hashlib.sha256(self.sock.getpeercert(True) or b"").hexdigest() != self._pin:
            found = hashlib.sha256(self.sock.getpeercert(True) or b"").hexdigest()
            self.close()
            raise ssl.SSLCertVerificationError(f"its SHA-256 is {found}, not the `fingerprint` of satellite.toml")

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any) -> None:
        super().request(method, url, body, headers or {}, **options)
        self._meter.add(calls=1, sent=len(body) if body is not None else 0)
        self._waits = _waits(body)
        self._asked = time.monotonic()

    def getresponse(self) -> HTTPResponse:
        try:
            self._answer = self._counted(super().getresponse())
            return self._answer
        finally:
            self._meter.add(seconds=0.0 if self._waits else time.monotonic() - self._asked)

    def _counted(self, answer: HTTPResponse) -> HTTPResponse:
        if isinstance(answer, _Answer):
            answer.meter = self._meter
        return answer

    def close(self) -> None:
        self._among.discard(self)
        super().close()
        answer, self._answer = self._answer, None
        if answer is not None:  # of one that was not read to its end it holds the socket
            answer.close()

    def cut(self) -> None:
        """Let a read that is under way in another thread end."""
        if (sock := self.sock) is not None:
            try:
                # Of the socket below TLS: a shutdown of TLS would wait for the other side.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                return  # it is gone already


def _waits(body: Any) -> bool:
    """Tell whether a call asks the server to hold the answer back until something changes."""
    content = body.encode() if isinstance(body, str) else body
    return isinstance(content, bytes) and _WAITING in content and _NOT_WAITING not in content
