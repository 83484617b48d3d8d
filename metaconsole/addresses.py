"""What counts as one peer: an IPv4 address, or the /64 of IPv6."""

import ipaddress


def network_of(address: str) -> str:
    """Return the address, or of IPv6 the /64: whoever has one has all of it. Empty for what is no address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)
