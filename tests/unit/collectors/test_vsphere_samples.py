"""The vendor's answers to QueryPerf as arrays: every text that a server may send is taken or left, never failed on."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.vsphere_answers import END, counters, csv_answer, entities, info
from hypothesis import given
from hypothesis import strategies as st
from pyVmomi import vim

from satellite.collectors.vsphere import counters as counters_module
from satellite.collectors.vsphere.counters import TABLE, Counters, keys
from satellite.collectors.vsphere.samples import Found, numbers, parse

WHOLE = st.integers(-(2**70), 2**70).map(str)
TOKEN = st.one_of(WHOLE, st.sampled_from(["", "NaN", "None", "-", "--1", "1-2", "1e5", "1.5", ".5", "0x1", "1 2", "∞"]))
GUEST = entities()[0]
TIMES = "20,2027-01-15T07:59:40Z,20,2027-01-15T08:00:00Z"


def key(name: str) -> int:
    """Return the number that the server gives to the counter of a metric."""
    for each in counters().asked(GUEST.type):
        (column,) = counters().shape(GUEST.type, ((each.counterId, ""),))
        if column is not None and column.metric == name:
            return int(each.counterId)
    raise LookupError(name)


POWER, UPTIME = key("hw.power"), key("system.uptime")


def read(*answers: Any) -> Sequence[Found]:
    return parse(answers, GUEST.type, {GUEST.id: None, "other": None}, counters())


def answer(power: str, uptime: str = "1,2", times: str = TIMES) -> Any:
    return csv_answer(GUEST, {(POWER, ""): power, (UPTIME, ""): uptime}, times)


@given(st.lists(WHOLE, min_size=1))
def test_whole_numbers_are_read_as_they_are(tokens: list[str]) -> None:
    assert numbers(",".join(tokens)).tolist() == [float(token) for token in tokens]


@given(st.lists(TOKEN, min_size=1))
def test_there_is_a_value_or_none_for_each_place(tokens: list[str]) -> None:
    found = numbers(",".join(tokens))
    assert len(found) == len(tokens)
    for token, value in zip(tokens, found.tolist(), strict=True):
        if token in ("1e5", "1.5") or (token.lstrip("-").isdigit() and not token.startswith("--")):
            assert value == float(token)
        else:
            assert np.isnan(value)


@given(st.text(max_size=40))
def test_any_text_is_read(text: str) -> None:
    assert len(numbers(text)) == text.count(",") + 1


@pytest.mark.parametrize("power", ["", "1", "1,2,3", "NaN,", "x"])
def test_a_series_that_is_broken_costs_nothing_else(power: str) -> None:
    (found,) = read(answer(power))
    assert np.isnan(found.values[0]).all()
    assert found.values[1].tolist() == [1, 2]


@pytest.mark.parametrize("times", ["", "20", "20,yesterday", ",".join(["20,x"] * 3)])
def test_an_entity_whose_instants_are_broken_is_left_out(times: str) -> None:
    other = csv_answer(replace(GUEST, id="other"), {(POWER, ""): "3,4"}, TIMES)
    found = read(answer("1,2", "3,4", times), other)
    assert [(each.id, each.values.tolist()) for each in found] == [("other", [[3, 4]])]


def test_instants_ascend_however_they_come() -> None:
    backwards = "20,2027-01-15T08:00:00Z,20,2027-01-15T07:59:40Z,20,2027-01-15T08:00:00+00:00"
    (found,) = read(answer("1,2,9", "4,5,9", backwards))
    assert found.times.tolist() == [END - 20_000, END]
    assert found.values.tolist() == [[2, 1], [5, 4]]


def test_only_what_was_asked_is_taken_and_once() -> None:
    stranger = csv_answer(entities()[1], {(POWER, ""): "1,2"}, TIMES)
    first, second = answer("1,2"), answer("3,4")
    assert [each.values[0].tolist() for each in read(stranger, first, second)] == [[1, 2]]
    assert read() == []
    assert read(csv_answer(GUEST, {}, TIMES)) == []


def test_what_is_not_ours_has_no_column() -> None:
    odd = {(10**6, ""): "1,2", (POWER, "an instance"): "3,4", (POWER, ""): "5,6"}
    (found,) = read(csv_answer(GUEST, odd, TIMES))
    assert [column and column.metric for column in found.shape] == [None, None, "hw.power"]


def test_numbers_as_such_are_read_like_text() -> None:
    manager = vim.PerformanceManager
    infos = [manager.SampleInfo(timestamp=datetime.fromtimestamp(END / 1000 + at, UTC), interval=20) for at in (0, 20)]
    series = manager.IntSeries(id=manager.MetricId(counterId=POWER, instance=""), value=[5, -1])
    (found,) = read(manager.EntityMetric(entity=vim.VirtualMachine(GUEST.id, None), sampleInfo=infos, value=[series]))
    assert found.times.tolist() == [END, END + 20_000]
    assert found.values.tolist() == [[5, -1]]


def test_a_counter_that_the_server_lacks_or_has_in_another_unit_is_not_asked() -> None:
    def asked(*infos: Any) -> list[int]:
        return [each.counterId for each in Counters(keys(infos), 20).asked(GUEST.type)]

    assert asked() == []
    assert asked(info(3, "cpu.usage.average", "percent"), info(4, "no.such.latest", "watt")) == [3]
    assert asked(info(3, "cpu.usage.average", "number"), info(5, "mem.usage.average", "percent")) == [5]


def test_the_documentation_names_every_metric_and_counter() -> None:
    text = Path(counters_module.__file__).with_name("METRICS.md").read_text(encoding="utf-8")
    for row in TABLE:
        assert f"`{row.metric}`" in text
        assert row.name in text
