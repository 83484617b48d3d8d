"""Each group of the benchmark runs, small and short: its figures mean nothing here, that there are figures does."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from bench import command, sweep, victoriametrics
from bench.goals import GOALS
from bench.plan import Plan

SMALL = Plan(
    seconds=1.0,
    warm_up=0.2,
    satellites=2,
    guests=10,
    sessions=6,
    session_guests=3,
    session_interval=0.25,
    asked=10,
    vsphere=(1, 2, 6),
    vsphere_interval=20.0,
    vsphere_cycles=1,
)


@pytest.mark.parametrize("group", ["gateway", "ingest", "vsphere"])
def test_a_group_measures_all_its_keys_and_writes_them(group: str, tmp_path: Path) -> None:
    files = tmp_path / "bench.json", tmp_path / "performance.md"
    command.measure([group], SMALL, files)
    results = json.loads(files[0].read_text())["results"]
    assert {key: entry.get("why") for key, entry in results.items()} == {
        goal.key: None for goal in GOALS if goal.group == group
    }
    assert all(entry["value"] > 0 for entry in results.values())
    text = files[1].read_text()
    assert f"\n## {group}\n" in text
    assert all(f"| `{key}` |" in text for key in results)
    if group == "gateway":
        assert results["gateway.sessions"]["value"] == SMALL.sessions
        assert "6 of 6 sessions opened" in text
        assert ", 0 ended by themselves" in text
        assert "the sessions said" not in text
    if group == "vsphere":
        assert "6 guests on 2 hosts" in text
        assert "gaps: 0" in text


SIZES = {"satellites": (2,), "series": (200,), "days": (1, 2)}


@pytest.mark.parametrize("axis", list(sweep.AXES))
def test_an_axis_has_a_row_for_each_size(axis: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    small = replace(sweep.AXES[axis], sizes=SIZES[axis])
    monkeypatch.setattr(sweep, "AXES", {axis: small})
    path = tmp_path / "performance.md"
    command.measure_sweep([axis], SMALL, (tmp_path / "bench.json", path))
    text = path.read_text()
    assert f"\n## scale\n\n### {axis}\n" in text
    head, _, *rows = [line[2:-2].split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert tuple(head) == small.columns
    assert [row[0] for row in rows] == [f"{size:,}" for size in SIZES[axis]]
    assert all(len(row) == len(head) and all(cell[0].isdigit() and "inf" not in cell for cell in row) for row in rows)


def test_victoriametrics_on_disk(tmp_path: Path) -> None:
    data, index = victoriametrics.bytes_per_sample(tmp_path, 5, 720, 1_700_000_000_000)
    assert 0.2 < data < 8
    assert index > 0
