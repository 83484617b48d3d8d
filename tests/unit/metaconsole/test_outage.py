"""What an operator is told while PostgreSQL is away."""

import logging

import pytest

from metaconsole.gateway.outage import Outage
from metaconsole.store.database import UnavailableError


def test_each_reason_is_told_once_an_outage(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    outage = Outage("series definitions")
    for _ in range(2):
        for reason in ("cut", "cut", "the disk is full", "cut"):
            outage.lost(UnavailableError(reason))
        outage.back()
        outage.back()
    told = [record.getMessage().partition(" after ")[0] for record in caplog.records]
    assert told == 2 * [
        "PostgreSQL does not take series definitions; they wait: cut",
        "PostgreSQL does not take series definitions; they wait: the disk is full",
        "PostgreSQL takes series definitions again",
    ]
