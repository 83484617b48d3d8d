"""The two pieces of protobuf's wire format that encoded messages are put together from without a library."""


def varint(number: int) -> bytes:
    """Return a non-negative number in groups of seven bits, the lowest first."""
    groups = bytearray()
    while number >= 0x80:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def field(number: int, content: bytes) -> bytes:
    """Return a length-delimited field: a string, bytes or a message."""
    return varint(number << 3 | 2) + varint(len(content)) + content
