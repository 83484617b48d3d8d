"""From samples to readings: what can't be is absent, nothing comes twice, what came too late leaves no trace."""

from dataclasses import replace

import numpy as np
import pytest
from fixtures.vsphere_answers import END, by_type, counters
from fixtures.vsphere_statistics import samples_of

from satellite.collectors.vsphere.assembly import Memory, Window, assemble
from satellite.collectors.vsphere.counters import Column
from satellite.collectors.vsphere.samples import Found
from shared.model import Readings

WINDOW = Window(20_000, first=3, most=15)
GUEST = by_type("VirtualMachine")
POWER = Column("hw.power", (), 1, False)
MEMORY = Column("vm.memory.active", (), 1024, False)
READY = Column("vm.cpu.ready.utilization", (), 1e-3 / 20, True)


def found(
    *rows: list[float], columns: tuple[Column | None, ...] = (POWER,), last: int = END, step: int = 20_000
) -> Found:
    values = np.array(rows, dtype=np.float64)
    count = values.shape[1]
    return Found(GUEST.id, columns, last - step * np.arange(count - 1, -1, -1), values)


def read(some: Found, memory: Memory = Memory(), end: int = END) -> tuple[Readings, Memory]:  # noqa: B008 - it never changes
    return assemble([some], [GUEST], memory.since([GUEST], end, WINDOW), end, WINDOW, memory)


@pytest.mark.parametrize("absurd", [-1, -(2**60), 2**53 + 2, 1e300, np.nan])
def test_values_that_cannot_be_are_absent(absurd: float) -> None:
    readings, _ = read(found([7, absurd, 8]))
    assert sorted(samples_of(readings).values()) == [7, 8]


def test_a_value_that_outgrows_its_unit_is_absent() -> None:
    readings, _ = read(found([2**43, 2**43 + 1, 0], columns=(MEMORY,)))
    assert sorted(samples_of(readings).values()) == [0, 2**53]


def test_time_is_a_share_of_all_cpus() -> None:
    readings, _ = read(found([4000], columns=(READY,)))
    assert GUEST.cpus == 2
    assert list(samples_of(readings).values()) == [0.1]
    none = replace(GUEST, cpus=0)
    readings, _ = assemble([found([4000], columns=(READY,))], [none], {none.id: 0}, END, WINDOW, Memory())
    assert readings.blocks == []
    assert readings.times.tolist() == [END]


def test_nothing_comes_twice_and_nothing_is_remembered_of_what_was_not_taken() -> None:
    first, memory = read(found([1, 2, 3]))
    assert len(samples_of(first)) == 3
    late, _ = read(found([1, 2, 3, 4], last=END + 20_000), memory, END + 20_000)
    again, _ = read(found([1, 2, 3, 4], last=END + 20_000), memory, END + 20_000)
    assert list(samples_of(late).values()) == list(samples_of(again).values()) == [4]


def test_what_lies_ahead_of_the_end_waits() -> None:
    readings, memory = read(found([1, 2, 3], last=END + 20_000))
    assert sorted(samples_of(readings).values()) == [1, 2]
    readings, _ = read(found([1, 2, 3], last=END + 20_000), memory, END + 20_000)
    assert list(samples_of(readings).values()) == [3]


def test_of_samples_without_number_the_newest_are_taken() -> None:
    readings, _ = read(found(list(range(1000)), step=10))
    assert sorted(samples_of(readings).values()) == list(range(985, 1000))


def test_since_when_is_asked() -> None:
    def since(seen: int | None, end: int = END) -> int:
        memory = Memory() if seen is None else Memory(seen={GUEST.id: seen})
        return (end - memory.since([GUEST], end, WINDOW)[GUEST.id]) // 20_000

    assert since(None) == 3
    assert since(END - 100_000) == 5
    assert since(END - 10**9) == 15  # as far back as is looked
    assert since(END + 20_000) == 0  # the clock was set back a little: what was seen is not asked again
    assert since(END + 10**6) == 3  # or by far: it begins anew


def test_series_and_layouts_stay_over_an_answer_without_samples() -> None:
    first, memory = read(found([1, 2, 3]))
    nothing, memory = assemble([], [GUEST], {GUEST.id: END}, END, WINDOW, memory)
    assert nothing.blocks == []
    second, _ = read(found([4, 5, 6], last=END + 60_000), memory, END + 60_000)
    assert second.blocks[0].layout is first.blocks[0].layout


def test_an_entity_without_an_answer_is_asked_from_the_same_instant_on() -> None:
    _, memory = read(found([1, 2, 3]))
    for later in (20_000, 40_000):
        since = memory.since([GUEST], END + later, WINDOW)
        assert since == {GUEST.id: END}
        _, memory = assemble([], [GUEST], since, END + later, WINDOW, memory)


def test_counters_have_a_shape_that_is_the_same_object_for_the_same_names() -> None:
    table = counters()
    names = tuple((each.counterId, "") for each in table.asked(GUEST.type))
    assert table.shape(GUEST.type, names) is table.shape(GUEST.type, tuple(names))
    for number in range(5000):
        table.shape(GUEST.type, ((number, ""),))
    assert table.shape(GUEST.type, names) == counters().shape(GUEST.type, names)
