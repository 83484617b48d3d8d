"""The token with which a satellite joins: where to, which authority to find there, which site, and a secret.

The one promise: a token with a typo is never taken for another one; its checksum tells at once.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "nsj_"  # a mark by which scanners know our tokens
SECRET_BYTES: Final = 16
_VERSION: Final = 1
_PIN_BYTES: Final = 32
_CHECK_BYTES: Final = 4


class TokenError(ValueError):
    """What was given is no token; the sentence says what to do."""


@dataclass(frozen=True, slots=True)
class JoinToken:
    """What a token says; address is HOST:PORT of the enrolment listener, pin the authority's (shared.certificates)."""

    address: str
    site: str
    secret: bytes
    pin: bytes

    def encode(self) -> str:
        """Return the token as it is printed, about 110 characters."""
        body = bytes([_VERSION]) + self.secret + self.pin + f"{self.site}\0{self.address}".encode()
        return _text(body + _check(body))


def new_secret() -> bytes:
    """Return the secret of a new token."""
    return secrets.token_bytes(SECRET_BYTES)


def digest(secret: bytes) -> bytes:
    """Return what the metaconsole keeps of a secret. It has 128 random bits and lives for hours: no salt is needed."""
    return hashlib.sha256(secret).digest()


def token_id(secret: bytes) -> str:
    """Return the name of a token that a log may show."""
    return digest(secret)[:4].hex()


def parse(text: str) -> JoinToken:
    """Read a token, whitespace around and inside left out; raises TokenError."""
    text = "".join(text.split())
    if not text.startswith(PREFIX):
        raise TokenError(
            f"this is no join token: one begins with {PREFIX} and is printed by nephoscope satellite token at the "
            "metaconsole"
        )
    raw = _bytes(text)
    body, check = raw[:-_CHECK_BYTES], raw[-_CHECK_BYTES:]
    fixed = 1 + SECRET_BYTES + _PIN_BYTES
    if len(body) < fixed or check != _check(body):
        raise TokenError("a character of the token is wrong, missing or too many: copy all of it again")
    if body[0] != _VERSION:
        raise TokenError("the token is of a newer metaconsole: upgrade this satellite")
    site, _, address = body[fixed:].decode().partition("\0")
    return JoinToken(address, site, body[1 : 1 + SECRET_BYTES], body[1 + SECRET_BYTES : fixed])


def _check(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:_CHECK_BYTES]


def _text(raw: bytes) -> str:
    return PREFIX + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    """Return the bytes of a token's text, or none where it is not the one text of any bytes."""
    encoded = text.removeprefix(PREFIX)
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return b""
    return raw if _text(raw) == text else b""
