"""One session at a vCenter or an ESXi host: opened once, used by all that is asked, counted, and given up as a whole.

The one promise: a password that was refused is not tried again until it has changed or ten minutes have passed, for
vCenter locks an account after a few attempts.
"""

import hashlib
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPSConnection
from typing import Any, Final

from satellite.collector import SourceDeniedError, SourceError, SourceTime, SourceUnreachableError
from satellite.collectors.vsphere.config import VsphereConfig
from satellite.collectors.vsphere.connection import Connections, Meter, Traffic
from satellite.collectors.vsphere.library import SessionEndedError, errors, library
from satellite.secret import read_secret

log = logging.getLogger(__name__)

LONG_POLL: Final = 20.0  # seconds that WaitForUpdatesEx may wait for a change
_CALL_SECONDS: Final = 28.0  # for each read from the socket; below the 30 s that the satellite gives to a call
_FIRST_VERSION: Final = "vim.version.version11"  # 6.5, which every server in service understands
OLDEST: Final = (6, 5)
_REFUSED_SECONDS: Final = 600.0


class Session:
    """Every method blocks, for a thread of the source, but `traffic` and `cut`. One object per connection attempt."""

    def __init__(self, config: VsphereConfig, meter: Meter, refused: "Refused") -> None:
        """Prepare; nothing is connected yet. The meter and the refusals outlive the session."""
        self.where = config.host if config.port == 443 else f"{config.host}:{config.port}"
        self.stub: Any = None
        self.content: Any = None
        self._config, self._meter, self._refused = config, meter, refused
        self._connections: Connections | None = None
        self._stubs: list[Any] = []
        self._ended = False

    def open(self) -> None:
        """Connect and log in. Raises SourceError."""
        password = read_secret(self._config.password_file)
        self._refused.check(self.where, password)
        try:
            self._log_in(password)
        except BaseException as error:
            # Of an answer that was cut the server knows that it let us in, and would keep the session for long.
            self._ended = not isinstance(error, SourceError) or isinstance(
                error, SourceDeniedError | SourceUnreachableError
            )
            self.leave()
            raise

    def _log_in(self, password: str) -> None:
        with self.errors():
            self.content = self._connect(_FIRST_VERSION)
            if (newer := _version_for(self.content.about.apiVersion, self.where)) != _FIRST_VERSION:
                self.content = self._connect(newer)
            try:
                self.content.sessionManager.Login(self._config.user, password, None)
            except library().vim.fault.InvalidLogin:
                self._refused.note(password)
                raise
        self._refused.forget()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise SourceError instead of pyvmomi's errors; after the end of the session each call says so at once."""
        if self._ended:
            raise SessionEndedError(f"vSphere at {self.where} has ended the session: it is opened anew")
        try:
            with errors(self.where):
                yield
        except SessionEndedError:
            self._ended = True
            raise

    @property
    def vcenter(self) -> bool:
        """Whether it is a vCenter, and not an ESXi host by itself."""
        return bool(self.content.about.apiType == "VirtualCenter")

    def clock(self) -> SourceTime:
        """Return the server's time. Raises SourceError."""
        with self.errors():
            now = library().vim.ServiceInstance("ServiceInstance", self.stub).CurrentTime()
            return SourceTime(round(now.timestamp() * 1000))

    def traffic(self) -> Traffic:
        """Return what the server was asked since the start of the satellite."""
        return self._meter.read()

    def leave(self) -> None:
        """Log out, so that the server forgets the session, and close; what is already gone is no error."""
        if self.content is not None and not self._ended:
            try:
                with self.errors():
                    self.content.sessionManager.Logout()
            except SourceError as error:
                log.debug("the session at %s ended with: %s", self.where, error)
        self.cut()
        for stub in self._stubs:
            stub.DropConnections()

    def cut(self) -> None:
        """End all connections at once; a call that another thread waits for fails. From any thread, never blocks."""
        self._ended = True
        if self._connections is not None:
            self._connections.cut()

    def other_stub(self, path: str, version: str, timeout: float = _CALL_SECONDS) -> Any:
        """Return a stub with the same session for another service of the server, such as vSAN's."""
        stub = self._stub(path, version, timeout)
        stub.cookie = self.stub.cookie
        return stub

    def plain_connection(self, timeout: float) -> HTTPSConnection:
        """Return a connection for another API of the server, with a login of its own; it is cut with the session."""
        assert self._connections is not None
        return self._connections.make(self._config.host, self._config.port, timeout)

    def _connect(self, version: str) -> Any:
        if self._connections is None:
            self._connections = Connections(self._config, self._meter)
        self.stub = self._stub("/sdk", version, _CALL_SECONDS)
        return library().vim.ServiceInstance("ServiceInstance", self.stub).RetrieveContent()

    def _stub(self, path: str, version: str, timeout: float) -> Any:
        assert self._connections is not None
        stub = library().SoapStubAdapter(
            host=self._config.host,
            port=self._config.port,
            path=path,
            version=version,
            # It would cost the server CPU, and a small answer could grow without bound.
            acceptCompressedResponses=False,
            connectionPoolTimeout=-1,
        )
        make = self._connections.make
        # The library's own pinning switches the checks of a shared context off; ours compares in each connection.
        stub.scheme = lambda host, port, **_: make(host, port, timeout)
        # A call that ends after the session gives its connection back to nobody.
        pool = stub.ReturnConnection
        stub.ReturnConnection = lambda connection: connection.close() if self._ended else pool(connection)
        self._stubs.append(stub)
        return stub


class Refused:
    """The password that the server refused last, as a hash, and when."""

    def __init__(self) -> None:
        self._digest = b""
        self._until = 0.0

    def check(self, where: str, password: str) -> None:
        """Raise SourceDeniedError while the password is the one that was refused a short while ago."""
        if self._digest == _digest(password) and time.monotonic() < self._until:
            raise SourceDeniedError(
                f"vSphere at {where} has refused user and password: lest the account is locked they are not tried "
                f"again for {round(self._until - time.monotonic())} s; a changed password is tried at once"
            )

    def note(self, password: str) -> None:
        """Remember that a password was refused."""
        self._digest, self._until = _digest(password), time.monotonic() + _REFUSED_SECONDS

    def forget(self) -> None:
        """Forget: a password was taken."""
        self._digest = b""


def _digest(password: str) -> bytes:
    return hashlib.sha256(password.encode()).digest()


def _version_for(api: str, where: str) -> str:
    """Return the newest version of the API that both the server (which says `api`) and the library know."""
    wanted = (*numbers(api), 0, 0, 0, 0)[:4]
    if wanted < OLDEST:
        raise SourceUnreachableError(f"vSphere at {where} speaks version {api[:40]!r}: upgrade it to 6.5 at least")
    from pyVmomi.VmomiSupport import versionIdMap

    known = {numbers(number): name for name, number in versionIdMap.items() if name.startswith("vim.version.")}
    return str(max((numbers, name) for numbers, name in known.items() if OLDEST <= numbers <= wanted)[1])


def numbers(version: str) -> tuple[int, ...]:
    """Return a dotted version as numbers; () for what is none, such as the library's internal versions."""
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isascii() and part.isdigit() for part in parts) else ()
