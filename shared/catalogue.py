"""The metric catalogue: what every metric is called, measured in and means, read from shared/metrics.toml.

The one promise: a catalogue that loads is complete and free of contradictions; a faulty one names each fault.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, get_args

from shared.model import Kind, State

MetricKind: TypeAlias = Literal["gauge", "counter", "state"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")
_UNIT: Final = re.compile(r"[!-z|~]+|\{[a-z]+\}(/[a-z]+)?")
_REQUIRED: Final = frozenset({"unit", "kind", "resources", "en", "es"})
_OPTIONAL: Final = frozenset({"attributes", "codes"})


class CatalogueError(ValueError):
    """The catalogue contradicts itself; the message lists every fault."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. Attributes are all that its series may carry, sorted; codes are a state's, else empty."""

    name: str
    unit: str
    kind: MetricKind
    description: str
    description_es: str
    resources: frozenset[Kind]
    attributes: tuple[str, ...]
    codes: Mapping[int, str]

    @property
    def integer(self) -> bool:
        """Whether values are whole numbers (int64): states, bytes and counted things, but not how many a second."""
        return self.kind == "state" or self.unit == "By" or (self.unit.startswith("{") and self.unit.endswith("}"))


@cache
def catalogue() -> Mapping[str, Metric]:
    """Return all metrics by name, in the order of the file. Raises CatalogueError."""
    return parse(Path(__file__).with_name("metrics.toml").read_text(encoding="utf-8"))


@cache
def state_code(state: State) -> int:
    """Return the code by which the metric resource.state stores a canonical state."""
    return next(code for code, name in catalogue()["resource.state"].codes.items() if name == state)


def parse(text: str) -> Mapping[str, Metric]:
    """Read a catalogue. Raises CatalogueError, with one line a fault, for anything unknown, missing or doubled."""
    try:
        tables = tomllib.loads(text)  # a name that stands twice is refused here
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(f"metrics.toml is not TOML, or names a metric twice: {error}") from error
    faults = [f"{name}: {fault}" for name, table in tables.items() for fault in _faults(name, table)]
    if faults:
        raise CatalogueError("metrics.toml:\n" + "\n".join(faults))
    return MappingProxyType({name: _metric(name, table) for name, table in tables.items()})


def _metric(name: str, table: Mapping[str, Any]) -> Metric:
    return Metric(
        name=name,
        unit=table["unit"],
        kind=table["kind"],
        description=table["en"],
        description_es=table["es"],
        resources=frozenset(Kind(kind) for kind in table["resources"]),
        attributes=tuple(table.get("attributes", ())),
        codes=MappingProxyType({int(code): state for code, state in table.get("codes", {}).items()}),
    )


def _faults(name: str, table: Any) -> list[str]:
    if not isinstance(table, dict):
        return ["stands outside a table; write a metric's name as a quoted table head"]
    faults = [f"{key} is missing" for key in sorted(_REQUIRED - table.keys())]
    faults += [f"{key} is not a known key" for key in sorted(table.keys() - _REQUIRED - _OPTIONAL)]
    if not _NAME.fullmatch(name):
        faults.append("a name is lower case words joined by dots")
    for key in ("en", "es"):
        if key in table and not (isinstance(table[key], str) and table[key].strip().endswith(".")):
            faults.append(f"{key} is a sentence that ends with a full stop")
    if "unit" in table and not (isinstance(table["unit"], str) and _UNIT.fullmatch(table["unit"])):
        faults.append("unit is a UCUM unit without spaces")
    if table.get("kind", "gauge") not in get_args(MetricKind):
        faults.append(f"kind is one of {', '.join(get_args(MetricKind))}")
    return faults + _list_faults(table) + _code_faults(table)


def _list_faults(table: Mapping[str, Any]) -> list[str]:
    faults = []
    kinds = table.get("resources", ["host"])
    known = set(Kind)
    if not isinstance(kinds, list) or not kinds or any(k not in known or kinds.count(k) > 1 for k in map(str, kinds)):
        faults.append("resources is a list of one or more kinds of resources, each once")
    attributes = table.get("attributes", [])
    if not isinstance(attributes, list) or not all(isinstance(a, str) and _NAME.fullmatch(a) for a in attributes):
        faults.append("attributes is a list of names")
    elif attributes != sorted(set(attributes)):
        faults.append("attributes stand in alphabetical order, each once")
    return faults


def _code_faults(table: Mapping[str, Any]) -> list[str]:
    codes = table.get("codes")
    if (table.get("kind") == "state") != (codes is not None):
        return ["a state has codes, and nothing else has"]
    if codes is None:
        return []
    if not isinstance(codes, dict) or not codes or not all(code.isascii() and code.isdigit() for code in codes):
        return ["codes is a table from whole numbers to words"]
    words = list(codes.values())
    if not all(isinstance(word, str) and word for word in words) or len(set(words)) != len(words):
        return ["each code has a word of its own"]
    return []
