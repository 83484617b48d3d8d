"""The ports that `up` listens on: whether they are free, what a browser calls them, and whether the web answers ready.

The promise: a port that is taken is told before anything is started.
"""

import errno
import http.client
import json
import socket
from typing import Final

from shared.addresses import join

_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # what they are reached by from here
_SECONDS: Final = 5.0


class PortError(Exception):
    """A port can't be listened on; the text says why and what helps."""


def check_port(host: str, port: int, option: str) -> None:
    """Raise PortError unless the port can be listened on now; option is how the user chooses another."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)  # two may bind the same port while neither listens
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortError(
                f"port {port} of {host} is taken by another program: choose another with {option}"
            ) from None
        raise PortError(f"can't listen on port {port} of {host}: {error.strerror or error} ({option})") from error


def local_address(host: str, port: int) -> str:
    """Return HOST:PORT by which this machine reaches what listens on host and port."""
    return join(_WILDCARDS.get(host, host), port)


def public_address(host: str, port: int) -> str:
    """Return HOST:PORT to show to others; what listens everywhere is shown by this machine's name."""
    return join(socket.gethostname() if host in _WILDCARDS else host, port)


def public_url(host: str, port: int) -> str:
    """Return the URL to show a person; what listens everywhere is shown by this machine's name."""
    return f"http://{public_address(host, port)}"


def not_ready(host: str, port: int) -> str | None:
    """Ask /readyz; return None when it says yes, else what it said or why it could not be asked."""
    connection = http.client.HTTPConnection(_WILDCARDS.get(host, host), port, timeout=_SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        said = answer.read(4096)
    except (OSError, http.client.HTTPException) as error:
        return f"The web does not answer: {error}."
    finally:
        connection.close()
    return None if answer.status == 200 else _reasons(said) or f"/readyz has status {answer.status}."


def _reasons(said: bytes) -> str:
    try:
        return " ".join(json.loads(said)["reasons"])
    except (ValueError, KeyError, TypeError):
        return said.decode(errors="replace").strip()
