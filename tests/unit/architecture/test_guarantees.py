"""Each promise of docs/guarantees.md names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ROW = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_promise_names_tests_that_exist() -> None:
    rows = [
        line for line in (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8").splitlines() if "tests/" in line
    ]
    assert rows
    for row in rows:
        named = ROW.findall(row)
        assert named, row
        for file, test in named:
            assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), row
