"""From samples of entities to readings: in the catalogue's units, each once, with the same layouts while they stay.

The one promise: nothing that an earlier answer had is in a later one, and what is remembered never changes: a new
memory takes its place, so that an answer that came too late leaves no trace.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np

from satellite.collectors.vsphere.counters import Shape
from satellite.collectors.vsphere.samples import Found
from satellite.collectors.vsphere.targets import Target
from satellite.matrices import Layouts, Part, blocks
from shared.columns import F64, I64
from shared.model import Readings, ResourceKey, SeriesKey

ABSURD: Final = 2.0**53  # beyond it no value of ours can be, and a float64 counts no more

_Series: TypeAlias = tuple[tuple[SeriesKey, ...], ...]  # by column of a shape; () for a column that is not ours
_Known: TypeAlias = Mapping[Shape, tuple[tuple[ResourceKey, ...], _Series]]


@dataclass(frozen=True, slots=True)
class Window:
    """How far back is asked: samples at the first sight of an entity, and at most; step in milliseconds."""

    step: int
    first: int
    most: int


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """What is known of earlier answers: up to when each entity was seen (by its id), and the series of each shape."""

    seen: Mapping[str, int] = field(default_factory=dict)
    series: _Known = field(default_factory=dict)
    layouts: Layouts = field(default_factory=Layouts)

    def since(self, targets: Sequence[Target], end: int, window: Window) -> Mapping[str, int]:
        """Return after which instant each target is to be asked (UTC milliseconds).

        Of what was not there at first sight everything after it is asked for later on, within the window.
        """
        first, span = end - window.first * window.step, window.most * window.step
        since = {}
        for target in targets:
            seen = self.seen.get(target.id, first)
            # What lies far ahead was seen before the server's clock was set back.
            since[target.id] = first if seen > end + span else min(max(seen, end - span), end)
        return since


@dataclass(frozen=True, slots=True, eq=False)
class Sizes:
    """Values of one instant (UTC milliseconds) that are no statistics, each part with its series of one metric."""

    time_ms: int
    parts: Sequence[tuple[tuple[SeriesKey, ...], F64]] = ()


@dataclass(slots=True, eq=False)
class _Member:
    """What is new of an entity."""

    target: Target
    times: I64
    values: F64


def assemble(
    found: Sequence[Found],
    targets: Sequence[Target],
    since: Mapping[str, int],
    end: int,
    window: Window,
    memory: Memory,
    sizes: Sizes | None = None,
) -> tuple[Readings, Memory]:
    """Return the readings, and what is to be remembered once they are taken."""
    groups, seen = _groups(found, targets, dict(since), end, window.most)
    instants = _instants([member for _, members in groups for member in members], end, sizes)
    parts: list[Part] = []
    known = {}
    for shape, members in groups:
        keys = tuple(member.target.key for member in members)
        series = _series(shape, keys, memory.series.get(shape))
        known[shape] = keys, series
        parts += _parts(shape, members, series, instants)
    if sizes is not None:
        place = np.searchsorted(instants, [[sizes.time_ms]])
        parts += [Part(series, values[:, np.newaxis], place) for series, values in sizes.parts]
    if not parts:
        return Readings(instants, [], by_source_clock=True), Memory(seen, memory.series, memory.layouts)
    layouts = memory.layouts.next()
    readings = Readings(instants, blocks(parts, len(instants), layouts), by_source_clock=True)
    return readings, Memory(seen, known, layouts)


def _groups(
    found: Sequence[Found], targets: Sequence[Target], seen: dict[str, int], end: int, most: int
) -> tuple[list[tuple[Shape, list[_Member]]], Mapping[str, int]]:
    """Return what is new, by the shape of the answer and in the order of the targets, and up to when it was seen."""
    of = {each.id: each for each in found}
    groups: dict[int, tuple[Shape, list[_Member]]] = {}  # a shape is the same object while it is the same
    for target in targets:
        if (each := of.get(target.id)) is None:
            continue
        low, high = np.searchsorted(each.times, (seen[target.id], end), side="right").tolist()
        low = max(low, high - most)
        if low < high:
            member = _Member(target, each.times[low:high], each.values[:, low:high])
            groups.setdefault(id(each.shape), (each.shape, []))[1].append(member)
            seen[target.id] = int(each.times[high - 1])
    return list(groups.values()), seen


def _instants(members: Sequence[_Member], end: int, sizes: Sizes | None) -> I64:
    every = [member.times for member in members]
    if sizes is not None:
        every.append(np.array([sizes.time_ms], dtype=np.int64))
    return np.unique(np.concatenate(every)) if every else np.array([end], dtype=np.int64)


def _series(
    shape: Shape, keys: tuple[ResourceKey, ...], known: tuple[tuple[ResourceKey, ...], _Series] | None
) -> _Series:
    if known is not None and known[0] == keys:
        return known[1]
    return tuple(
        () if column is None else tuple(SeriesKey(key, column.metric, column.attributes) for key in keys)
        for column in shape
    )


def _parts(shape: Shape, members: Sequence[_Member], series: _Series, instants: I64) -> list[Part]:
    width = max(len(member.times) for member in members)
    values = np.full((len(members), len(shape), width), np.nan)
    places = np.full((len(members), width), -1, dtype=np.int64)
    for row, member in enumerate(members):
        count = len(member.times)
        values[row, :, :count] = member.values
        places[row, :count] = np.searchsorted(instants, member.times)
    cpus = np.array([float(member.target.cpus or np.nan) for member in members])[:, np.newaxis]
    parts = []
    for number, column in enumerate(shape):
        if column is not None:
            # In place: at ten thousand guests each copy of it all is 8 MiB.
            own = values[:, number]
            _drop_absurd(own)
            own *= column.factor / cpus if column.per_cpu else column.factor
            _drop_absurd(own)
            parts.append(Part(series[number], own, places))
    return parts


def _drop_absurd(values: F64) -> None:
    """Take out, in place, what can't be: -1 stands for none, and nothing of ours is negative."""
    values[~((values >= 0) & (values <= ABSURD))] = np.nan
