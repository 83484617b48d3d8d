"""A certificate and its key stay a pair, wherever a crash cuts the writing off."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from metaconsole import pki
from shared.pairs import is_pair, load_pair, replace_pair, settle_pair, write_private

OLD, NEW = (pki.make_authority(datetime.now(UTC)) for _ in range(2))


class CrashError(Exception):
    """The machine lost power."""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    certificate, key = tmp_path / "x.pem", tmp_path / "x.key"
    replace_pair(certificate, key, OLD)
    return certificate, key


@pytest.mark.parametrize("steps", range(12))
def test_a_crash_at_any_step_leaves_the_old_pair_or_the_new_one(
    files: tuple[Path, Path], steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [steps]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if left[0] == 0:
                raise CrashError
            left[0] -= 1
            return real(*arguments, **named)

        return call

    for name in ("open", "fsync", "rename"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    crashed = False
    try:
        replace_pair(*files, NEW)
    except CrashError:
        crashed = True
    monkeypatch.undo()
    assert load_pair(*files) in (OLD, NEW)
    assert is_pair(*(file.read_bytes() for file in files))
    if not crashed:
        assert load_pair(*files) == NEW


def test_of_a_key_without_its_certificate_the_staged_one_is_taken(files: tuple[Path, Path]) -> None:
    certificate, key = files
    key.write_bytes(NEW[1])
    certificate.with_name("x.pem.new").write_bytes(NEW[0])
    settle_pair(certificate, key)
    assert load_pair(certificate, key) == NEW


def test_what_does_not_belong_together_is_told(files: tuple[Path, Path]) -> None:
    files[1].write_bytes(NEW[1])
    with pytest.raises(ValueError, match="is not the key of"):
        load_pair(*files)


def test_a_private_file_is_private_and_replaces_a_public_one(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, b"new")
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"new", 0o600)
    assert list(tmp_path.iterdir()) == [file]
