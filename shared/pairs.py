"""Private files, and the two that belong together: a certificate and its key.

The one promise: whatever instruction a crash comes at, `settle_pair` leaves a certificate and the key that fits it,
either the old ones or the new ones; what is written here is 0600 from its first byte.
"""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import load_pem_private_key


def write_private(path: Path, content: bytes) -> None:
    """Write a file that is always the old one or the new one, on the disk on return. Raises OSError."""
    _stage(path, content).rename(path)
    _sync(path.parent)


def replace_pair(certificate: Path, key: Path, pair: tuple[bytes, bytes]) -> None:
    """Write a certificate (its chain behind it) and its key. Raises OSError, then the old ones may still be there."""
    staged = (_stage(certificate, pair[0]), _stage(key, pair[1]))
    _sync(certificate.parent)
    _sync(key.parent)
    staged[1].rename(key)
    _sync(key.parent)
    with contextlib.suppress(FileNotFoundError):  # a process that read both just now has settled them
        staged[0].rename(certificate)
    _sync(certificate.parent)


def settle_pair(certificate: Path, key: Path) -> None:
    """Finish what a crash cut off: after the key, before its certificate. Raises OSError."""
    staged = _fresh(certificate)
    if staged.exists() and not _fits(certificate, key) and _fits(staged, key):
        with contextlib.suppress(FileNotFoundError):  # who wrote it was faster
            staged.rename(certificate)
        _sync(certificate.parent)


def load_pair(certificate: Path, key: Path) -> tuple[bytes, bytes]:
    """Return both as PEM; raises OSError, and ValueError where they do not belong together."""
    settle_pair(certificate, key)
    pair = certificate.read_bytes(), key.read_bytes()
    if not is_pair(*pair):
        raise ValueError(f"{key} is not the key of {certificate}")
    return pair


def is_pair(certificate: bytes, key: bytes) -> bool:
    """Return whether the key is the one of the (first) certificate, both as PEM; raises ValueError for neither."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    own = load_pem_private_key(key, None).public_key().public_bytes(serialization.Encoding.DER, form)
    named = x509.load_pem_x509_certificate(certificate).public_key()
    return own == named.public_bytes(serialization.Encoding.DER, form)


def discard(paths: Sequence[Path]) -> None:
    """Remove files, and what was staged for them."""
    for path in paths:
        path.unlink(missing_ok=True)
        _fresh(path).unlink(missing_ok=True)


def _fits(certificate: Path, key: Path) -> bool:
    try:
        return is_pair(certificate.read_bytes(), key.read_bytes())
    except (OSError, ValueError):
        return False


def _fresh(path: Path) -> Path:
    return path.with_name(path.name + ".new")


def _stage(path: Path, content: bytes) -> Path:
    fresh = _fresh(path)
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return fresh


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
