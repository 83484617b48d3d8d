"""Secrets and passwords: how they are drawn, kept and compared.

The one promise: never more than HASHES passwords are hashed at once, so that signing in can't exhaust the memory.
"""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

HASHES: Final = 2
_WAIT_SECONDS: Final = 15.0
TOKEN_PREFIX: Final = "nsk_"  # noqa: S105  # a mark by which scanners know our tokens, not a secret

_hasher: Final = PasswordHasher()
_turn: Final = threading.BoundedSemaphore(HASHES)
# What a password is compared with when there is no account, so that both answers take as long.
_NOBODY: Final = _hasher.hash(secrets.token_hex(16))


_T = TypeVar("_T")
# How slow work is run: the web hands in gevent's threadpool.
Compute: TypeAlias = Callable[[Callable[[], Any]], Any]


class BusyError(Exception):
    """Too many passwords are being checked at once."""


def directly(work: Callable[[], _T]) -> _T:
    """Run work right here."""
    return work()


def new_secret() -> str:
    """Return 256 random bits that fit into a URL and a cookie."""
    return secrets.token_urlsafe(32)


def new_token() -> str:
    """Return a new secret of an API token."""
    return TOKEN_PREFIX + new_secret()


def digest(secret: str) -> bytes:
    """Return what is kept of a secret. It has 256 random bits: nobody can guess it, so no salt is needed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def csrf_of(session_secret: str) -> str:
    """Return the token that a form or script of this session has to present."""
    return hmac.new(session_secret.encode(), b"nephoscope csrf", hashlib.sha256).hexdigest()


def same(given: str, expected: str) -> bool:
    """Compare without telling by the time taken where two texts differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


def hash_password(password: str, compute: Compute = directly) -> str:
    """Return the argon2id hash of a password; raises BusyError."""
    with _one_turn():
        hashed: str = compute(lambda: _hasher.hash(password))
    return hashed


def is_password(password_hash: str | None, password: str, compute: Compute = directly) -> bool:
    """Return whether the password is that of the hash; None takes as long and is never true. Raises BusyError."""
    with _one_turn():
        right: bool = compute(lambda: _is_match(password_hash or _NOBODY, password))
    return right and password_hash is not None


def _is_match(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


@contextmanager
def _one_turn() -> Iterator[None]:
    # Taken by who asks, not by the thread that hashes: that one may be outside gevent's loop.
    if not _turn.acquire(timeout=_WAIT_SECONDS):
        raise BusyError("too many people are signing in at this moment")
    try:
        yield
    finally:
        _turn.release()
