"""What the benchmark writes: bench.json, the table on the terminal, and docs/performance.md.

The one promise: a run replaces what it measured and nothing else. Each result, each section and each part of one
carries its own date and its own machine, since the others were measured at another time.
"""

import json
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.findings import Findings
from bench.goals import GOALS, Goal

TITLE: Final = "# Performance"
_PREFACE: Final = f"""{TITLE}

Written by `make bench` (a group: `make bench ONLY=ingest`; scale: `.venv/bin/python -m tests.bench --sweep`, one axis
of it: `--sweep days`). Each section was measured on the machine and at the time that it names; figures of a shared
machine swing, the ratios to peers are of one run. What is measured and how stands in the module of that name in
`tests/bench`.
"""


def results(found: Findings, groups: Sequence[str], date: str) -> dict[str, Any]:
    """Return the entry of each key of the groups: the median of its runs, or null and why."""
    entries: dict[str, Any] = {}
    for goal in _goals(groups):
        runs = found.runs.get(goal.key, [])
        entry: dict[str, Any] = {"value": statistics.median(runs) if runs else None, "unit": goal.unit, "date": date}
        if runs:
            entry["runs"] = runs
        else:
            entry["why"] = found.absent.get(goal.key) or goal.comes_with or "its group measured nothing"
        entries[goal.key] = entry
    return entries


def write_results(path: Path, entries: Mapping[str, Any], machine: Mapping[str, Any], date: str) -> None:
    """Write bench.json in the form of DESIGN §9, keeping what other groups have in it if the machine is the same."""
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept = old.get("results", {}) if _hardware(old.get("machine", {})) == _hardware(machine) else {}
    known = {**kept, **entries}
    order = [goal.key for goal in GOALS if goal.key in known]
    document = {"machine": machine, "date": date, "results": {key: known[key] for key in order}}
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def write_section(path: Path, name: str, body: str) -> None:
    """Write one section of docs/performance.md, and leave the others as they are."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    places = list(dict.fromkeys(goal.group for goal in GOALS))
    path.write_text(_replaced(text, _PREFACE, "##", name, body, places) + "\n", encoding="utf-8")


def write_part(path: Path, name: str, part: str, body: str, places: Sequence[str]) -> None:
    """Write one part of a section, and leave the others as they are; places names them in order."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    old = _pieces(text, "##").get(name, "").partition("\n")[2]
    write_section(path, name, _replaced(old, "", "###", part, body, places))


def _replaced(text: str, preface: str, mark: str, name: str, body: str, places: Sequence[str]) -> str:
    """Return a text under whose headings one piece is another one."""
    pieces = _pieces(text, mark) | {name: f"{mark} {name}\n\n{body.strip()}"}
    order = sorted(pieces, key=lambda one: (places.index(one) if one in places else len(places), one))
    return "\n\n".join([preface.strip(), *(pieces[one] for one in order)]).strip()


def _pieces(text: str, mark: str) -> dict[str, str]:
    """Return by name what stands under headings of a level, heading included."""
    found = re.finditer(rf"^{mark} (\S+).*?(?=^{mark} |\Z)", text, re.MULTILINE | re.DOTALL)
    return {match[1]: match[0].strip() for match in found}


def section(group: str, entries: Mapping[str, Any], notes: Iterable[str], heading: str) -> str:
    """Return the body of a group's section: when and where, each key with its goal, and the group's notes."""
    lines = [heading, "", "| key | value | goal | verdict |", "| --- | --- | --- | --- |"]
    for goal in _goals([group]):
        value, verdict = _shown(goal, entries[goal.key])
        lines.append(f"| `{goal.key}` | {value} {goal.unit} | {_bound(goal)} | {verdict} |")
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)])


def table(entries: Mapping[str, Any]) -> str:
    """Return the entries as lines: key, value, goal, and whether it is reached."""
    lines = [f"{'key':<34}{'value':>14}  {'unit':<10}{'goal':>14}"]
    for goal in GOALS:
        if goal.key in entries:
            value, verdict = _shown(goal, entries[goal.key])
            lines.append(f"{goal.key:<34}{value:>14}  {goal.unit:<10}{_bound(goal):>14}  {verdict}")
    return "\n".join(lines)


def _shown(goal: Goal, entry: Mapping[str, Any]) -> tuple[str, str]:
    value = entry["value"]
    if value is None:
        return "-", entry["why"]
    return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}", "reached" if goal.met(value) else "not reached"


def _bound(goal: Goal) -> str:
    return f"{goal.sense} {goal.bound:,g}"


def _goals(groups: Sequence[str]) -> list[Goal]:
    return [goal for goal in GOALS if goal.group in groups]


def _hardware(machine: Mapping[str, Any]) -> list[Any]:
    return [machine.get(name) for name in ("processor", "cores", "memory_bytes")]
