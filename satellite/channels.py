"""Channels to the metaconsole: mutual TLS, and through an HTTP proxy where there is one.

The one promise: a proxy is used when satellite.toml or --proxy says so, and never because of the environment, which
differs between a shell and a service.
"""

from collections.abc import Callable

import grpc
import grpc.aio

from shared import tls

ChannelFactory = Callable[[str], grpc.aio.Channel]


def options(proxy: str | None, server_name: str = tls.METACONSOLE_NAME) -> list[tuple[str, int | str]]:
    """Return the options of every channel to the metaconsole; server_name is the one that its certificate must have."""
    through = ("grpc.http_proxy", proxy.rstrip("/")) if proxy else ("grpc.enable_http_proxy", 0)
    return [*tls.CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", server_name), through]


def secure_channels(
    load: Callable[[], tuple[bytes, bytes, bytes]], proxy: str | None, server_name: str = tls.METACONSOLE_NAME
) -> ChannelFactory:
    """Return a factory of mutually authenticated channels, for each of which load returns certificate, key and trust.

    The factory raises what load raises.
    """

    def connect(address: str) -> grpc.aio.Channel:
        certificate, key, trust = load()
        credentials = grpc.ssl_channel_credentials(trust, key, certificate)
        return grpc.aio.secure_channel(address, credentials, options=options(proxy, server_name))

    return connect
