"""What is told of refused series: once a minute for each satellite, with all that came since; and the bound of maps."""

import logging
from dataclasses import replace
from uuid import UUID

import pytest

from metaconsole.gateway.check import Known, ProtocolError, check_frame
from metaconsole.gateway.definitions import MAPPED, check_definitions
from metaconsole.gateway.quotas import Quotas
from metaconsole.gateway.series_map import SeriesMap
from metaconsole.gateway.sources import SOURCES, Sources
from metaconsole.gateway.window import Window
from metaconsole.seldom import TELL_SECONDS
from metaconsole.store.frames import Sender
from metaconsole.store.quota import Excess
from shared.pb import telemetry_pb2, uplink_pb2

METRIC, NOW = "system.cpu.utilization", 1_700_000_000_000
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
                  "the 2000 series that it may have", "nephoscope site series madrid --quota"):  # fmt: skip
        assert words in told[0]
    assert "; 3 since this was last told" in told[0]
    assert "; 15 since this was last told" in told[1]


def test_definitions_of_all_epochs_of_a_session_are_bounded() -> None:
    known = Known({}, Sources())
    message = telemetry_pb2.SeriesDefinitions(definitions=[telemetry_pb2.SeriesDefinition(id=8)])
    assert check_definitions(message, 7, known, MAPPED - 8)[0] == 8
    with pytest.raises(ProtocolError, match="connect again"):
        check_definitions(message, 7, known, MAPPED - 7)


def test_a_session_names_no_more_sources_than_a_site_may_have() -> None:
    known = Known({METRIC: 7}, Sources())
    known.sources.learn({f"s{n}": n for n in range(1, SOURCES - 1)})

    def gaps(*names: str) -> telemetry_pb2.GapList:
        reason = telemetry_pb2.GAP_REASON_UNREACHABLE
        made = [telemetry_pb2.Gap(source=name, from_ms=NOW, to_ms=NOW, reason=reason) for name in names]
        made[0].resource.CopyFrom(telemetry_pb2.ResourceRef(source=names[-1], kind="host", key="h"))
        return telemetry_pb2.GapList(gaps=made)

    def check(content: telemetry_pb2.GapList) -> str:
        frame = uplink_pb2.Frame(sequence=1, gaps=content)
        sender = Sender(1, UUID(int=1), 1)
        checked = check_frame(frame, frame.ByteSize(), sender, UUID(int=2), SeriesMap(), known, Window(NOW, 400))
        return checked.refusal.detail if checked.refusal else ""

    assert check(gaps("s1", "one more", "")) == ""
    assert check(gaps("s1", "and another")) == ""
    assert "at most 10000 sources; 'too many'" in check(gaps("s1", "too many"))
    assert check(gaps("one more", "and another", "s2")) == "", "what was named is known"

    def define(name: str) -> int:
        reference = telemetry_pb2.ResourceRef(source=name, kind="host", key="h")
        message = telemetry_pb2.SeriesDefinition(id=1, resource=reference, metric=METRIC)
        _, [found] = check_definitions(telemetry_pb2.SeriesDefinitions(definitions=[message]), 0, known)
        return found.metric_id

    assert [define("s1"), define("one more"), define("too many")] == [7, 7, 0]
    # The gap that a refused frame leaves does not name it either.
    batch = telemetry_pb2.Batch(source="too many", plan="p", interval_ms=1000)
    frame = uplink_pb2.Frame(sequence=1, batch=batch)
    sender = Sender(1, UUID(int=1), 1)
    refused = check_frame(frame, 9, sender, UUID(int=2), SeriesMap(), known, Window(NOW, 400))
    assert refused.refusal is not None
    assert [gap.source for gap in telemetry_pb2.GapList.FromString(refused.row.payload).gaps] == [""]


@pytest.mark.parametrize(
    ("for_resources", "full", "option"),
    [
        (0, "the 2000 series", "--quota"),
        (3, "the 9 resources", "--resources"),
        (1, "the 2000 series and the 9 ", "--quota"),
    ],
)
def test_it_is_told_which_quota_refuses(
    caplog: pytest.LogCaptureFixture, for_resources: int, full: str, option: str
) -> None:
    Quotas().refused("churner", "madrid", replace(EXCESS, for_resources=for_resources, resource_quota=9))
    assert f"because the site has {full}" in caplog.text
    assert f"nephoscope site series madrid {option} N" in caplog.text
