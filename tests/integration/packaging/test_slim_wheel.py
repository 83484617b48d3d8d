"""The satellite's slim wheel agrees with the whole distribution's description and holds the satellite alone."""

import tomllib
import zipfile
from pathlib import Path
from typing import Any

from fixtures.packages import ROOT, build_wheel


def read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def test_description_agrees_with_the_roots() -> None:
    whole, slim = (
        read(ROOT / "pyproject.toml")["project"],
        read(ROOT / "deploy/satellite-wheel/pyproject.toml")["project"],
    )
    extras = whole["optional-dependencies"]
    assert sorted(slim["dependencies"]) == sorted(whole["dependencies"] + extras["satellite"])
    platforms = {
        name: [need for need in needs if need != "nephoscope[satellite]"]
        for name, needs in extras.items()
        if "nephoscope[satellite]" in needs
    }
    assert slim["optional-dependencies"] == platforms
    assert slim["scripts"] == whole["scripts"]
    assert slim["requires-python"] == whole["requires-python"]
    points, ours = whole["entry-points"], slim["entry-points"]
    assert ours["nephoscope.collectors"] == points["nephoscope.collectors"]
    assert ours["nephoscope.commands"] == {
        name: value for name, value in points["nephoscope.commands"].items() if value.startswith("satellite.")
    }


def test_slim_wheel_holds_the_satellite_alone(tmp_path: Path) -> None:
    names = zipfile.ZipFile(build_wheel(ROOT / "deploy/satellite-wheel", tmp_path)).namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"satellite", "shared"}
    assert {"satellite/cli.py", "shared/metrics.toml", "shared/pb/uplink_pb2.py"} <= set(names)


def test_pins_name_no_address_and_every_direct_need() -> None:
    for file in (ROOT / "constraints.txt", *(ROOT / "deploy/requirements").glob("*.txt")):
        text = file.read_text(encoding="utf-8")
        assert "://" not in text
        assert "index-url" not in text
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert {"numpy", "grpcio", "flask", "psutil", "libvirt-python", "pytest"} <= pinned
