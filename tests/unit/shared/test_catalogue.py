"""The catalogue: what stands in metrics.toml is complete, and a fault in it is told."""

import subprocess
import sys

import pytest

from shared.catalogue import CatalogueError, catalogue, parse, state_code
from shared.model import Kind, State

GOOD = """
["x.y"]
unit = "By"
kind = "gauge"
resources = ["host"]
attributes = ["a.a", "b.b"]
en = "Something."
es = "Algo."
"""


def test_the_catalogue_loads_and_is_bilingual() -> None:
    metrics = catalogue()
    utilization = metrics["system.cpu.utilization"]
    assert (utilization.unit, utilization.kind, utilization.attributes) == ("1", "gauge", ())
    assert utilization.resources == {Kind.HOST, Kind.GUEST, Kind.CLUSTER}
    assert metrics["system.cpu.time"].attributes == ("cpu.logical_number", "cpu.mode")
    assert all(metric.description != metric.description_es for metric in metrics.values())


def test_state_codes_name_every_canonical_state_once() -> None:
    codes = catalogue()["resource.state"].codes
    assert sorted(codes.values()) == sorted(State)
    assert {state_code(state) for state in State} == set(codes)


# What a code meant it means for ever: this list only grows.
def test_released_state_codes_stay() -> None:
    words = "unknown running stopped paused suspended starting stopping restarting crashed error up down degraded"
    released = dict(enumerate((*words.split(), "maintenance")))
    assert released.items() <= dict(catalogue()["resource.state"].codes).items()


def test_value_types_follow_the_unit() -> None:
    metrics = catalogue()
    assert metrics["system.network.io"].integer
    assert metrics["system.process.count"].integer
    assert metrics["resource.state"].integer
    assert not metrics["system.cpu.time"].integer
    assert not metrics["system.linux.load.1m"].integer
    assert not metrics["system.disk.operations.rate"].integer


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (('unit = "By"', 'unit = "By"\ncolour = "red"'), "colour is not a known key"),
        (('es = "Algo."', ""), "es is missing"),
        (('es = "Algo."', 'es = ""'), "es is a sentence"),
        (('en = "Something."', 'en = "Something"'), "en is a sentence"),
        (('"gauge"', '"histogram"'), "kind is one of"),
        (('"gauge"', '"state"'), "a state has codes"),
        (('es = "Algo."', 'es = "Algo."\ncodes = {0 = "off"}'), "a state has codes"),
        (('"host"', '"toaster"'), "resources is a list"),
        (('"host"', '"host", "host"'), "resources is a list"),
        (('["host"]', "[]"), "resources is a list"),
        (('"a.a", "b.b"', '"b.b", "a.a"'), "alphabetical order"),
        (('"a.a", "b.b"', '"a.a", "a.a"'), "alphabetical order"),
        (('"By"', '"B y"'), "unit is a UCUM unit"),
        (('["x.y"]', '["X"]'), "lower case words"),
        (('["x.y"]', 'z = 1\n["x.y"]'), "outside a table"),
        (('"By"', '"By'), "not TOML"),
    ],
)
def test_each_fault_is_told(change: tuple[str, str], fault: str) -> None:
    assert parse(GOOD)["x.y"].unit == "By"
    with pytest.raises(CatalogueError, match=fault):
        parse(GOOD.replace(*change))


def test_all_faults_are_told_at_once_and_doubles_are_refused() -> None:
    with pytest.raises(CatalogueError, match=r"(?s)es is missing.*unit is missing"):
        parse(GOOD.replace('unit = "By"', "").replace('es = "Algo."', ""))
    with pytest.raises(CatalogueError, match="twice"):
        parse(GOOD + GOOD)


def test_a_state_needs_words_of_its_own() -> None:
    state = GOOD.replace('"gauge"', '"state"')
    with pytest.raises(CatalogueError, match="a word of its own"):
        parse(state + 'codes = {0 = "on", 1 = "on"}')
    with pytest.raises(CatalogueError, match="whole numbers"):
        parse(state + 'codes = {zero = "on"}')


def test_the_catalogue_imports_nothing_heavy() -> None:
    code = (
        "import sys, shared.catalogue; shared.catalogue.catalogue();"
        "print(sorted({'grpc', 'flask', 'psycopg', 'psutil', 'libvirt'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
