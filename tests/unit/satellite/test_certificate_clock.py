"""What a satellite says of its certificate when it is the clock that is wrong."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from metaconsole.pki import open_authority, renew_satellite
from satellite.certificate import CertificateFiles
from shared.tls import SatelliteIdentity

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Config:
    folder: Path
    site: str = "madrid"
    name: str = "madrid-1"

    @property
    def certificate(self) -> Path:
        return self.folder / "satellite.pem"

    @property
    def key(self) -> Path:
        return self.folder / "satellite.key"

    @property
    def trust(self) -> Path:
        return self.folder / "trust.pem"


@pytest.mark.parametrize(
    ("off", "words"),
    [
        (timedelta(0), ""),
        (
            timedelta(days=-1),
            "clock says 2026-11-24 12:00 UTC, and this satellite's certificate is valid from 2026-11-25",
        ),
        (timedelta(days=400), "clock says 2027-12-30 12:00: set the clock if that is wrong"),
    ],
)
def test_a_clock_that_makes_the_certificate_invalid_is_named(tmp_path: Path, off: timedelta, words: str) -> None:
    pki = tmp_path / "pki"
    pki.mkdir()
    open_authority(pki, NOW)
    renew_satellite(pki, tmp_path, SatelliteIdentity(1, uuid4()), NOW)
    said = CertificateFiles(Config(tmp_path), lambda: NOW + off).unusable()
    assert words in said
    assert bool(said) == bool(words)
