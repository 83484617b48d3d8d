"""Passwords and tokens of sources: they stand in files of the site, never in satellite.toml and never at the centre.

The one promise: a secret that can't be read is a sentence that names the file, and never holds the secret.
"""

import os
from pathlib import Path
from typing import Final

from satellite.collector import SourceDeniedError

_MOST: Final = 4096  # bytes
_CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"  # set by systemd for LoadCredential= and SetCredential=


def read_secret(name: str) -> str:
    """Return what a file holds, without the end of its line, read anew each time so that a changed one is taken.

    A bare name, without a slash, is one of systemd's credentials. Raises SourceDeniedError.
    """
    path = _path(name)
    try:
        with path.open("rb") as file:
            content = file.read(_MOST + 1)
        text = content.decode("utf-8").rstrip("\r\n")
    except OSError as error:
        raise SourceDeniedError(
            f"the secret in {path} can't be read ({error.strerror or error}): make the file, readable for the "
            "satellite's user alone"
        ) from error
    except UnicodeDecodeError as error:
        raise SourceDeniedError(f"the secret in {path} is no UTF-8 text: write it as UTF-8") from error
    if not text or len(content) > _MOST or any(character in text for character in "\r\n\0"):
        raise SourceDeniedError(f"{path} does not hold one line of 1 to {_MOST} bytes: put the secret there, alone")
    return text


def _path(name: str) -> Path:
    if "/" in name:
        return Path(name)
    folder = os.environ.get(_CREDENTIALS)
    if folder is None:
        raise SourceDeniedError(
            f"{name!r} is a credential of systemd, and this satellite was not started with any: add LoadCredential= "
            "to its unit, or name the file with its path"
        )
    return Path(folder) / name
