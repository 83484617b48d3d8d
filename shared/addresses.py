"""HOST:PORT, as options, tokens and satellite.toml have it."""

import re
from typing import Final

PATTERN: Final = r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$"
PROXY_PATTERN: Final = r"^http://([!-.0-?A-Z_a-z~%]+@)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}/?$"
NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$"
_ADDRESS: Final = re.compile(PATTERN)
_MOST: Final = 260


def split(address: str) -> tuple[str, int]:
    """Return host (an IPv6 address without its brackets) and port; raises ValueError."""
    if len(address) > _MOST or not _ADDRESS.fullmatch(address):
        raise ValueError(f"{address[:80]!r} is not HOST:PORT")
    host, _, port = address.rpartition(":")
    if not 1 <= int(port) <= 65535:
        raise ValueError(f"{address!r} has no port between 1 and 65535")
    return host.strip("[]"), int(port)


def join(host: str, port: int) -> str:
    """Return HOST:PORT, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
