"""docs/architecture.md names file and function of every hop of a sample; each of them is really there."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
HOPS = re.findall(r"^\| (\d+) \|.*\| `([\w/.]+):([\w.]+)` \|$", TEXT, re.MULTILINE)
ROWS = re.findall(r"^\| \d+ \|", TEXT, re.MULTILINE)
STATIONS = (
    "satellite/collectors/",
    "satellite/series.py",
    "satellite/spool.py",
    "satellite/uplink.py",
    "metaconsole/gateway/uplink.py",
    "metaconsole/store/log.py",
    "metaconsole/readers/",
    "metaconsole/store/query.py",
    "metaconsole/web/query/api.py",
    "metaconsole/web/frontend/",
)


def test_the_path_is_whole() -> None:
    assert [int(number) for number, _, _ in HOPS] == list(range(1, len(ROWS) + 1)), "a hop names no file:function"
    files = [file for _, file, _ in HOPS]
    places = [next(at for at, file in enumerate(files) if file.startswith(station)) for station in STATIONS]
    assert places == sorted(places), "the stations of DESIGN §4 do not come in their order"


@pytest.mark.parametrize(("number", "file", "function"), HOPS)
def test_a_hop_is_there(number: str, file: str, function: str) -> None:
    path = ROOT / file
    if path.suffix == ".js":
        assert re.search(
            rf"^export (async )?(function|class|const) {function}\b", path.read_text("utf-8"), re.MULTILINE
        )
        return
    importlib.import_module("metaconsole.web.app")  # the pages import each other; the program begins here
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    assert module.__file__ is not None
    found: object = module
    for name in function.split("."):
        found = getattr(found, name)
    target = inspect.unwrap(found) if callable(found) else found
    assert inspect.isroutine(target), f"hop {number}: {file}:{function} is no function"
    assert Path(inspect.getfile(target)) == path, f"hop {number}: {function} is defined elsewhere"
