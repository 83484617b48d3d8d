"""Identities and channel settings that both ends of the uplink agree on.

A satellite is who its certificate says: one URI subject alternative name. The metaconsole's gateways are one DNS name,
signed by the metaconsole's own authority, so that NAT, addresses and proxies do not matter to the check.
"""

import re
import uuid
from dataclasses import dataclass
from typing import Final

METACONSOLE_NAME: Final = "metaconsole.nephoscope.internal"
_SATELLITE: Final = re.compile(r"spiffe://nephoscope/site/(\d{1,18})/satellite/([0-9a-f]{8}-[0-9a-f-]{27})")

# Keepalive alone notices a half-open link after 60 s or never; with ping_timeout_ms after 5 s (measured).
CHANNEL_OPTIONS: Final[tuple[tuple[str, int | str], ...]] = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    ("grpc.max_send_message_length", 4 * 1024 * 1024),
)
SERVER_OPTIONS: Final[tuple[tuple[str, int | str], ...]] = (
    *CHANNEL_OPTIONS,
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.max_concurrent_streams", 64),
    ("grpc.so_reuseport", 0),
)


@dataclass(frozen=True, slots=True)
class SatelliteIdentity:
    """Which satellite of which site."""

    site_id: int
    satellite_id: uuid.UUID

    @property
    def uri(self) -> str:
        """The URI subject alternative name of its certificate."""
        return f"spiffe://nephoscope/site/{self.site_id}/satellite/{self.satellite_id}"


def parse_identity(uri: str) -> SatelliteIdentity:
    """Read an identity from the URI of a certificate; raises ValueError for any other."""
    if not (match := _SATELLITE.fullmatch(uri)):
        raise ValueError(f"not the identity of a satellite: {uri[:200]!r}")
    return SatelliteIdentity(int(match[1]), uuid.UUID(match[2]))
