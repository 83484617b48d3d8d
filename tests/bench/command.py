"""`python -m tests.bench [--only GROUP] [--seconds N] [--runs N]`: measure, write bench.json, print the table.

Shorter times than DESIGN §9 asks for are for development; bench.json is then not written unless --output names it.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench import gateway, ingest, report
from bench.goals import GOALS
from bench.plan import Plan

ROOT: Final = Path(__file__).resolve().parents[2]
MEASURED: Final = {"ingest": ingest.run}


def main(arguments: Sequence[str]) -> None:
    """Run what was asked for."""
    usual = Plan()
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", default="", help="a group of keys: the part before the dot")
    parser.add_argument("--seconds", type=float, default=usual.seconds, help="measured seconds")
    parser.add_argument("--warm-up", type=float, default=usual.warm_up, help="seconds before that")
    parser.add_argument("--runs", type=int, default=usual.runs, help="runs, of which the median counts")
    parser.add_argument("--output", type=Path, help="where to write the results (default: bench.json at the root)")
    asked = parser.parse_args(arguments)
    groups = sorted({goal.group for goal in GOALS})
    if asked.only and asked.only not in groups:
        parser.error(f"there is no group {asked.only!r}; there are {', '.join(groups)}")
    plan = Plan(seconds=asked.seconds, warm_up=asked.warm_up, runs=asked.runs)
    chosen = [asked.only] if asked.only else groups
    runs = {key: values for group in chosen if group in MEASURED for key, values in MEASURED[group](plan).items()}
    entries = report.results(runs, chosen)
    print(report.table(entries))
    short = plan.seconds < usual.seconds or plan.warm_up < usual.warm_up
    if asked.output or not short:
        report.write(asked.output or ROOT / "bench.json", entries)
    else:
        print(f"{plan.seconds:g} s after {plan.warm_up:g} s is short of DESIGN §9: bench.json is left as it was")
