"""Scale: how the figures change along one axis at a time: satellites, series, days of history.

The one promise: a row of a table is on the terminal as soon as it is measured, and an axis replaces its own table in
docs/performance.md and no other one.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from bench import sweep_days, sweep_satellites, sweep_series
from bench.findings import Findings
from bench.plan import Plan

Rows: TypeAlias = Iterator[list[str]]


@dataclass(frozen=True, slots=True)
class Axis:
    """The head of a table, what measures its rows, saying beside them what is no column, and the size of each."""

    columns: Sequence[str]
    run: Callable[[Plan, Findings, Sequence[int]], Rows]
    sizes: Sequence[int]


AXES: Final[Mapping[str, Axis]] = {
    "satellites": Axis(sweep_satellites.COLUMNS, sweep_satellites.run, sweep_satellites.SATELLITES),
    "series": Axis(sweep_series.COLUMNS, sweep_series.run, sweep_series.SERIES),
    "days": Axis(sweep_days.COLUMNS, sweep_days.run, sweep_days.DAYS),
}


def run(name: str, plan: Plan) -> str:
    """Measure an axis and return its table with what was found beside it."""
    axis, found = AXES[name], Findings()
    return table(axis.columns, axis.run(plan, found, axis.sizes), found)


def table(columns: Sequence[str], rows: Rows, found: Findings) -> str:
    """Return rows as Markdown with the notes below, each printed when it comes."""
    lines = []
    for cells in itertools.chain([columns, ["---"] * len(columns)], rows):
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return "\n".join([*lines, "", *(f"- {note}" for note in found.notes)])
