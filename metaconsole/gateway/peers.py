"""Who is at the other end of a call: the certificate that the handshake verified, and the address.

The one promise: a satellite is who its certificate says, and nothing in a message changes that.
"""

from typing import Any, TypeAlias
from urllib.parse import unquote

import grpc.aio
from cryptography import x509

from metaconsole.addresses import network_of
from shared.certificates import Leaf, read_leaf

AnyContext: TypeAlias = grpc.aio.ServicerContext[Any, Any]


def leaf_of(context: AnyContext) -> Leaf:
    """Return what the peer's certificate says; raises ValueError for one that names no satellite."""
    found = list(context.auth_context().get("x509_pem_cert", []))
    if len(found) != 1:
        raise ValueError("the peer showed no certificate")
    return read_leaf(x509.load_pem_x509_certificate(found[0]))


def address_of(context: AnyContext) -> str:
    """Return the peer's address without its port, and of IPv6 its /64."""
    return network_of(_host(unquote(context.peer())))


def _host(peer: str) -> str:
    return peer.partition(":")[2].rpartition(":")[0].strip("[]")
