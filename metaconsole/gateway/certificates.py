"""The gateway's certificate and the authorities that it trusts, as the files say now.

The one promise: a change of the files counts from the next handshake on, without a restart; files that can't be used
leave what was in force before.
"""

import asyncio
import datetime as dt
import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from cryptography import x509

from metaconsole import company
from metaconsole.pki import client_authorities, trust_bundle
from metaconsole.rollover import keep_gateway
from shared.certificates import key_identifier
from shared.pairs import load_pair

KEEP_SECONDS: Final = 3600.0
_FILES: Final = ("gateway.pem", "gateway.key", "ca.pem", "ca-next.pem", *company.FILES)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InForce:
    """What is used: pairs of key and certificate (its chain), whose satellites are let in, and whom those trust; PEM.

    Of several pairs the one is shown that is of the name asked for, and the first one for any other name.
    """

    pairs: tuple[tuple[bytes, bytes], ...]
    clients: bytes
    trust: bytes
    trust_sha256: bytes
    server_name: str  # for which new satellites look; empty for the gateways' own
    authority: str  # hex of the key identifier of who signs satellites now
    ends: dt.datetime  # of the gateway's certificate


class Certificates:
    """Reads the folder again when a file of it has changed. Usable from any thread."""

    def __init__(self, pki: Path) -> None:
        """Read the folder; raises OSError or ValueError."""
        self.pki = pki
        self._lock = threading.Lock()
        self._seen = self._look()
        self._in_force = self._load()

    def now(self) -> InForce:
        """Return what is in force."""
        with self._lock:
            if (seen := self._look()) != self._seen:
                self._seen = seen
                try:
                    self._in_force = self._load()
                    _log.info("certificates of %s are read again", self.pki, extra={"event": "certificates.read"})
                except (OSError, ValueError) as error:
                    # A file is being replaced: the next look finds it whole, since its time differs again.
                    _log.warning("certificates of %s can't be used, those of before stay: %s", self.pki, error)
            return self._in_force

    def credentials(self, *, of_clients: bool) -> grpc.ServerCredentials:
        """Return credentials for a port, with or without certificates of its clients."""
        used = self.now()

        def fetch() -> grpc.ServerCertificateConfiguration | None:
            nonlocal used
            found = self.now()
            if found is used:
                return None
            used = found
            return _configuration(found)

        made: Callable[..., grpc.ServerCredentials] = grpc.dynamic_ssl_server_credentials
        return made(_configuration(used), fetch, require_client_authentication=of_clients)

    def _look(self) -> list[tuple[int, int] | None]:
        return [_stamp(self.pki / name) for name in _FILES]

    def _load(self) -> InForce:
        certificate, key = load_pair(self.pki / "gateway.pem", self.pki / "gateway.key")
        clients, trust, shown = client_authorities(self.pki), trust_bundle(self.pki), company.load_company(self.pki)
        signer = x509.load_pem_x509_certificates(clients)[-1]
        ends = x509.load_pem_x509_certificate(certificate).not_valid_after_utc
        pairs = ((shown.key, shown.certificate),) if shown else ()
        sha256, name = hashlib.sha256(trust).digest(), shown.name if shown else ""
        return InForce((*pairs, (key, certificate)), clients, trust, sha256, name, key_identifier(signer), ends)


def _configuration(found: InForce) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(list(found.pairs), found.clients)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        state = path.stat()
    except FileNotFoundError:
        return None
    return state.st_mtime_ns, state.st_ino


async def keep_certificate(pki: Path) -> None:
    """Renew the gateways' certificate long before it ends, until cancelled; of several gateways one does it."""
    while True:
        now = dt.datetime.now(dt.UTC)
        try:
            shown = await asyncio.to_thread(company.load_company, pki)
            if shown is not None and (soon := shown.ends_soon(now)):
                _log.warning("%s", soon, extra={"event": "certificates.company_ends"})
            if await asyncio.to_thread(keep_gateway, pki, now):
                _log.info("the gateway's certificate is renewed", extra={"event": "certificates.renewed"})
        except (OSError, ValueError) as error:
            _log.warning("the gateway's certificate can't be renewed, next try in an hour: %s", error)
        await asyncio.sleep(KEEP_SECONDS)
