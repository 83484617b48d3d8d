"""Storage pools and networks: what they are and how full they are.

The one promise: one that is broken or vanishes is left out; it never costs the others.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from satellite.collectors.libvirt.client import Client
from satellite.collectors.libvirt.documents import DocumentError, clean, network_bridge, pool_path
from satellite.collectors.libvirt.fallback import Fallback
from satellite.collectors.libvirt.library import library
from satellite.collectors.libvirt.states import pool_state
from shared.model import State

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pool:
    """A storage pool; sizes in bytes, None while it is not running."""

    uuid: str
    name: str
    state: State
    path: str
    sizes: tuple[int, int, int] | None  # capacity, used, available


@dataclass(frozen=True, slots=True)
class Network:
    """A virtual network and the bridge behind it."""

    uuid: str
    name: str
    state: State
    bridge: str


class Storage:
    """Reads pools and networks of one connection."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._fallback = Fallback()

    def read(self, defined: bool) -> tuple[Sequence[Pool], Sequence[Network]]:
        """Return all storage pools and networks, with path and bridge if defined is true. Raises SourceError."""
        connection = self._client.alive()
        with self._client.errors():
            pools = self._fallback.optional(connection.listAllStoragePools, 0)
            networks = self._fallback.optional(connection.listAllNetworks, 0)
            return (
                self._each(pools, lambda pool: self._pool(pool, defined)),
                self._each(networks, lambda network: self._network(network, defined)),
            )

    def _each(self, items: Sequence[Any], read: Callable[[Any], T]) -> Sequence[T]:
        found = []
        for item in items:
            try:
                found.append(read(item))
            except library().libvirtError as error:
                log.debug("a pool or network of %s was left out: %s", self._client.uri, error)
        return found

    def _pool(self, pool: Any, defined: bool) -> Pool:
        number, capacity, used, available = pool.info()
        state = pool_state(number)
        sizes = (capacity, used, available) if state in {State.RUNNING, State.DEGRADED} else None
        path = self._detail(pool, pool_path) if defined else ""
        return Pool(pool.UUIDString(), clean(pool.name()), state, path, sizes)

    def _network(self, network: Any, defined: bool) -> Network:
        state = State.RUNNING if network.isActive() else State.STOPPED
        bridge = self._detail(network, network_bridge) if defined else ""
        return Network(network.UUIDString(), clean(network.name()), state, bridge)

    def _detail(self, item: Any, read: Callable[[str], str]) -> str:
        try:
            return read(item.XMLDesc(0))
        except DocumentError as error:
            log.warning("a definition at %s is not used: %s", self._client.uri, error)
            return ""
