"""What the benchmark writes: one group is replaced, all others stay word for word."""

import json
from pathlib import Path

from bench import report
from bench.findings import Findings
from bench.goals import GOALS

HERE = {"processor": "one", "cores": 2, "memory_bytes": 1, "numpy": "2"}


def found() -> Findings:
    findings = Findings()
    for value in (4_000.0, 6_000.0, 5_500.0):
        findings.found({"gateway.sessions": value, "gateway.ack_p99_ms": 1_500.0})
    findings.absent["gateway.kib_per_session"] = "no memory could be read"
    return findings


def test_a_key_is_the_median_of_its_runs_or_null_with_the_reason() -> None:
    entries = report.results(found(), ["gateway"], "today")
    assert entries["gateway.sessions"] == {
        "value": 5_500.0,
        "unit": "sessions",
        "date": "today",
        "runs": [4_000.0, 6_000.0, 5_500.0],
    }
    assert entries["gateway.kib_per_session"]["value"] is None
    assert entries["gateway.kib_per_session"]["why"] == "no memory could be read"
    assert set(entries) == {goal.key for goal in GOALS if goal.group == "gateway"}
    lines = report.table(entries).splitlines()
    assert [line.split()[-1] for line in lines[1:3]] == ["reached", "reached"]
    assert lines[2].endswith("not reached")


def test_bench_json_keeps_what_other_groups_found_on_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    report.write_results(path, report.results(Findings(), ["ingest"], "monday"), HERE, "monday")
    report.write_results(path, report.results(found(), ["gateway"], "tuesday"), HERE | {"numpy": "3"}, "tuesday")
    document = json.loads(path.read_text())
    assert document["date"] == "tuesday"
    assert document["results"]["ingest.samples_per_s"]["date"] == "monday"
    assert document["results"]["gateway.sessions"]["date"] == "tuesday"
    report.write_results(path, report.results(found(), ["gateway"], "friday"), HERE | {"cores": 64}, "friday")
    assert all(key.startswith("gateway.") for key in json.loads(path.read_text())["results"])


def test_a_section_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    entries = report.results(found(), ["gateway"], "today")
    report.write_section(path, "scale", "a table\n\n### with a heading below\n\nand words")
    report.write_section(path, "gateway", report.section("gateway", entries, ["a note | as said"], "today, here."))
    report.write_section(path, "ingest", "first")
    report.write_section(path, "ingest", "second")
    text = path.read_text()
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## ingest", "## gateway", "## scale"]
    assert text.startswith("# Performance\n")
    assert "first" not in text
    assert "| `gateway.sessions` | 5,500 sessions | >= 5,000 | reached |" in text
    assert "| `gateway.ack_p99_ms` | 1,500 ms | <= 1,000 | not reached |" in text
    assert "| `gateway.kib_per_session` | - KiB | <= 150 | no memory could be read |" in text
    assert "- a note | as said\n" in text
    assert "### with a heading below\n\nand words\n" in text


def test_a_part_of_a_section_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    path, places = tmp_path / "performance.md", ["satellites", "series"]
    report.write_section(path, "ingest", "fast")
    report.write_part(path, "scale", "series", "| many |", places)
    report.write_part(path, "scale", "satellites", "old", places)
    report.write_part(path, "scale", "satellites", "| new |\n\n- a note", places)
    body = path.read_text().partition("## ingest\n\nfast\n\n")[2]
    assert body == "## scale\n\n### satellites\n\n| new |\n\n- a note\n\n### series\n\n| many |\n"
    report.write_section(path, "ingest", "faster")
    assert path.read_text().endswith(f"faster\n\n{body}")


def test_what_a_section_held_before_it_had_parts_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    report.write_section(path, "scale", "one table\n\n| 1 |")
    report.write_part(path, "scale", "days", "| 2 |", ["days"])
    assert path.read_text().endswith("## scale\n\n### days\n\n| 2 |\n")
    assert "one table" not in path.read_text()
