"""What tests of bounded spools share."""

import pytest
from fixtures.bounded_spools import Clock

from satellite.epoch_writer import EpochWriter


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def a_segment_for_each_append(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EpochWriter, "SEGMENT_BYTES", 1)
