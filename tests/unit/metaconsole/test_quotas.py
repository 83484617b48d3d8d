"""What is told of refused series: once a minute for each satellite, with all that came since; and the bound of maps."""

import logging

import pytest

from metaconsole.gateway.check import ProtocolError
from metaconsole.gateway.definitions import MAPPED, check_definitions
from metaconsole.gateway.quotas import TELL_SECONDS, Quotas
from metaconsole.store.quota import Excess
from shared.pb import telemetry_pb2

EXCESS = Excess(3, 2_000, "vc1", "guest", "system.cpu.time", "pod", 3)


def test_it_is_told_once_a_minute_with_what_came_since(caplog: pytest.LogCaptureFixture) -> None:
    now = 1000.0
    quotas = Quotas(lambda: now)
    with caplog.at_level(logging.ERROR):
        for _ in range(5):
            quotas.refused("churner", "madrid", EXCESS)
        quotas.refused("other", "madrid", EXCESS)
        assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
        now += TELL_SECONDS
        quotas.refused("churner", "madrid", EXCESS)
    told = [record.getMessage() for record in caplog.records if "churner" in record.getMessage()]
    assert len(told) == 2
    for words in ("site madrid", "source 'vc1', kind guest, metric system.cpu.time", "attribute 'pod' has 3 new values",
                  "the 2000 that it may have", "nephoscope site series madrid --quota"):  # fmt: skip
        assert words in told[0]
    assert "; 3 since this was last told" in told[0]
    assert "; 15 since this was last told" in told[1]


def test_definitions_of_all_epochs_of_a_session_are_bounded() -> None:
    metrics: dict[str, int] = {}
    message = telemetry_pb2.SeriesDefinitions(definitions=[telemetry_pb2.SeriesDefinition(id=8)])
    assert check_definitions(message, 7, metrics, MAPPED - 8)[0] == 8
    with pytest.raises(ProtocolError, match="connect again"):
        check_definitions(message, 7, metrics, MAPPED - 7)
