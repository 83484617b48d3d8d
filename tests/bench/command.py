"""`python -m tests.bench [--only GROUP] [--sweep [AXIS]] [--seconds N] [--runs N]`: measure, write and print.

Shorter times than DESIGN §9 asks for are for development; nothing is then written unless --output names a file.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench import gateway, ingest, query, report, storage, sweep, vsphere
from bench.findings import Findings
from bench.goals import GOALS
from bench.machine import heading, machine
from bench.plan import Plan

ROOT: Final = Path(__file__).resolve().parents[2]
MEASURED: Final[Mapping[str, Callable[[Plan], Findings]]] = {
    "gateway": gateway.run,
    "ingest": ingest.run,
    "query": query.run,
    "readers": storage.readers,
    "storage": storage.run,
    "vsphere": vsphere.run,
}


def main(arguments: Sequence[str]) -> None:
    """Run what was asked for."""
    usual = Plan()
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", default="", help="a group of keys: the part before the dot")
    parser.add_argument(
        "--sweep", nargs="?", const="", choices=["", *sweep.AXES], help="measure scale instead of the groups"
    )
    parser.add_argument("--seconds", type=float, default=usual.seconds, help="measured seconds")
    parser.add_argument("--warm-up", type=float, default=usual.warm_up, help="seconds before that")
    parser.add_argument("--runs", type=int, default=usual.runs, help="runs, of which the median counts")
    parser.add_argument("--output", type=Path, help="write the results here and performance.md beside them")
    asked = parser.parse_args(arguments)
    groups = sorted({goal.group for goal in GOALS})
    if asked.only and asked.only not in groups:
        parser.error(f"there is no group {asked.only!r}; there are {', '.join(groups)}")
    plan = Plan(seconds=asked.seconds, warm_up=asked.warm_up, runs=asked.runs)
    short = plan.seconds < usual.seconds or plan.warm_up < usual.warm_up
    if asked.output:
        files = asked.output, asked.output.with_name("performance.md")
    elif not short:
        files = ROOT / "bench.json", ROOT / "docs" / "performance.md"
    else:
        print(f"{plan.seconds:g} s after {plan.warm_up:g} s is short of DESIGN §9: the results are not written")
        files = None
    if asked.sweep is not None:
        measure_sweep([asked.sweep] if asked.sweep else list(sweep.AXES), plan, files)
    else:
        measure([asked.only] if asked.only else groups, plan, files)


def measure(groups: Sequence[str], plan: Plan, files: tuple[Path, Path] | None) -> None:
    """Measure groups, each written as soon as it is done; files are bench.json and performance.md."""
    entries = {}
    for group in groups:
        found = MEASURED[group](plan) if group in MEASURED else Findings()
        date, here = _now(), machine()
        mine = report.results(found, [group], date)
        entries.update(mine)
        if files is not None:
            report.write_results(files[0], mine, here, date)
            report.write_section(files[1], group, report.section(group, mine, found.notes, heading(here, date)))
    print(report.table(entries))


def measure_sweep(axes: Sequence[str], plan: Plan, files: tuple[Path, Path] | None) -> None:
    """Measure axes of scale, each written as soon as it is done; of the files performance.md gets it."""
    for axis in axes:
        table = sweep.run(axis, plan)
        if files is not None:
            body = f"{heading(machine(), _now())}\n\n{table}"
            report.write_part(files[1], "scale", axis, body, list(sweep.AXES))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
