"""Looks at who answers at the address of a token, before anything is told to them.

The one promise: nothing but a handshake is sent, and what is returned is the authority that the token names, or a
sentence says why it is not there.
"""

import datetime as dt
import http.client
import socket
import ssl
from base64 import b64encode
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from shared import addresses
from shared.certificates import BACKDATE, pin_of
from shared.join_token import JoinToken
from shared.tls import METACONSOLE_NAME

SECONDS: Final = 10.0
_PORTS: Final = "satellites join at 7444 unless the metaconsole was started with another --enrol-port"


class JoinError(Exception):
    """It can't join; the sentence says why and what to do."""


def authority_pem(token: JoinToken, proxy: str | None, now: dt.datetime) -> bytes:
    """Return the certificate of the token's authority as PEM, found at the token's address; raises JoinError."""
    chain, speaks = _chain(token.address, proxy)
    found = next((one for one in chain if pin_of(one) == token.pin), None)
    if found is None:
        raise JoinError(
            f"the certificate authority at {token.address} is not the one that the token names: the token is of "
            "another metaconsole or of before a change of its authority (make a new one there), or something between "
            "here and there answers in its place, as a proxy that inspects TLS does"
        )
    _check_leaf(chain[0], found, token.address, now)
    if not speaks:
        raise JoinError(
            f"{token.address} is the metaconsole's port for satellites that have joined: {_PORTS}; make a token with "
            "--address"
        )
    return found.public_bytes(serialization.Encoding.PEM)


def _check_leaf(leaf: x509.Certificate, authority: x509.Certificate, address: str, now: dt.datetime) -> None:
    try:
        leaf.verify_directly_issued_by(authority)
    except Exception as error:
        raise JoinError(
            f"{address} shows the authority that the token names, but has no certificate of it: something between here "
            "and there answers in the metaconsole's place"
        ) from error
    begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if not begins <= now <= ends:
        raise JoinError(
            f"this machine's clock says {now:%Y-%m-%d %H:%M} UTC, and the metaconsole's certificate is good from "
            f"{begins + BACKDATE:%Y-%m-%d %H:%M} to {ends:%Y-%m-%d %H:%M}: set the clock (timedatectl set-ntp true) "
            "and join again; the token is still good"
        )


def _chain(address: str, proxy: str | None) -> tuple[list[x509.Certificate], bool]:
    """Return the certificates that are shown, and whether whoever shows them speaks on without one of ours."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Whom to trust is what is being found out; the token's hash decides, and the next connection is verified.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with _connect(address, proxy) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=METACONSOLE_NAME) as secured:
                return [x509.load_der_x509_certificate(one) for one in _shown(secured)], _speaks(secured)
        except TimeoutError as error:
            raise JoinError(f"{address} takes connections and then says nothing: {_PORTS}") from error
        except (OSError, ValueError) as error:
            raise JoinError(f"what answers at {address} speaks no TLS that we know ({error}): {_PORTS}") from error


def _shown(secured: ssl.SSLSocket) -> list[bytes]:
    """Return the chain as DER; the method is public from Python 3.13 on, the one below it is there in 3.10 already."""
    public = getattr(secured, "get_unverified_chain", None)
    if public is not None:
        return [bytes(one) for one in public()]
    inner: Any = getattr(secured, "_sslobj")  # noqa: B009  # mypy knows no such attribute
    return [one.public_bytes(2) for one in inner.get_unverified_chain()]  # 2: DER


def _speaks(secured: ssl.SSLSocket) -> bool:
    """Return whether gRPC's first frame comes: a port that demands our certificate ends the connection instead."""
    try:
        return bool(secured.recv(9))
    except TimeoutError:
        raise
    except OSError:
        return False


def _connect(address: str, proxy: str | None) -> socket.socket:
    host, port = addresses.split(address)
    if proxy is None:
        try:
            return socket.create_connection((host, port), SECONDS)
        except socket.gaierror as error:
            raise JoinError(
                f"the name {host} can't be resolved here ({error.strerror}): correct the name service, or make a token "
                "with an --address that this site knows"
            ) from error
        except OSError as error:
            raise JoinError(_unreachable(address, error)) from error
    return _through(proxy, host, port)


def _unreachable(address: str, error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return (
            f"nothing listens at {address}: start the metaconsole, or make a token with the right --address; {_PORTS}"
        )
    if isinstance(error, TimeoutError):
        return (
            f"{address} did not answer within {SECONDS:g} s: let this machine out to that port (outgoing TCP), or name "
            "the site's proxy with --proxy"
        )
    return f"{address} can't be reached ({error.strerror or error}): correct the network, or name a proxy with --proxy"


def _through(proxy: str, host: str, port: int) -> socket.socket:
    named = urlsplit(proxy)
    if named.hostname is None or named.port is None:
        raise JoinError(f"{proxy!r} is no proxy: --proxy http://HOST:PORT")
    shown = addresses.join(named.hostname, named.port)
    headers = {}
    if named.username is not None:
        secret = f"{unquote(named.username)}:{unquote(named.password or '')}".encode()
        headers["Proxy-Authorization"] = f"Basic {b64encode(secret).decode()}"
    connection = http.client.HTTPConnection(named.hostname, named.port, timeout=SECONDS)
    connection.set_tunnel(host, port, headers)
    try:
        connection.connect()
    except ConnectionRefusedError as error:
        raise JoinError(f"nothing listens at the proxy {shown}: correct --proxy") from error
    except (OSError, http.client.HTTPException) as error:
        raise JoinError(
            f"the proxy {shown} does not let us through to {addresses.join(host, port)} ({error}): allow CONNECT to it "
            "there, or correct --proxy"
        ) from error
    opened: socket.socket = connection.sock
    return opened
