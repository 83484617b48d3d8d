"""Secrets of sources: read from files, refused with sentences that never hold them."""

from pathlib import Path

import pytest

from satellite.collector import SourceDeniedError
from satellite.secret import read_secret


def test_a_file_holds_one_line(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("Correct Horse\n", encoding="utf-8")
    assert read_secret(str(path)) == "Correct Horse"
    path.write_text("changed", encoding="utf-8")
    assert read_secret(str(path)) == "changed"


def test_a_bare_name_is_a_credential_of_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vc").write_text("secret", encoding="utf-8")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_secret("vc") == "secret"
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(SourceDeniedError, match="LoadCredential="):
        read_secret("vc")


@pytest.mark.parametrize("content", [b"", b"\n", b"hidden\nhidden\n", b"hidden\0", b"\xff\xfe", b"h" * 5000])
def test_what_is_no_secret_is_refused_without_telling_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "password"
    path.write_bytes(content)
    with pytest.raises(SourceDeniedError, match="password") as caught:
        read_secret(str(path))
    assert "hidden" not in str(caught.value)


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceDeniedError, match="can't be read"):
        read_secret(str(tmp_path / "nothing"))
