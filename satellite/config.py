"""satellite.toml as frozen values.

The one promise: all problems are told at once, each with the file, the key and the fix; an unknown key is a problem.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from satellite.bounds import BYTES_LEAST, DEFAULT, Bounds
from satellite.collector import Collector, CollectorConfig
from satellite.plugins import Found
from shared import addresses
from shared.tls import METACONSOLE_NAME

_NAME: Final = r"^[a-z0-9][a-z0-9._-]{0,62}$"
_HINTS: Final = {
    "extra_forbidden": "this key is not known here; remove it or correct its spelling",
    "missing": "this key is missing; add it",
}
Name = Annotated[str, StringConstraints(pattern=_NAME)]
M = TypeVar("M", bound=BaseModel)
Address = Annotated[str, StringConstraints(pattern=addresses.PATTERN)]
Proxy = Annotated[str, StringConstraints(pattern=addresses.PROXY_PATTERN)]
ServerName = Annotated[str, StringConstraints(pattern=addresses.NAME_PATTERN)]


class ConfigError(Exception):
    """satellite.toml can't be used; problems are sentences."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        super().__init__("\n".join(f"{path}: {problem}" for problem in problems))
        self.problems = problems


class _Spool(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    bytes: int | None = Field(default=None, ge=BYTES_LEAST)
    days: float = Field(default=7, gt=0, le=3650)
    keep_hours: float = Field(default=24, ge=0, le=87_600)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    site: Name
    name: Name
    uplinks: list[Address] = Field(min_length=1)
    certificate: str
    key: str
    trust: str
    state: str
    spool: _Spool = _Spool()
    proxy: Proxy | None = None  # an HTTP proxy through which the uplinks are reached by CONNECT
    server_name: ServerName = METACONSOLE_NAME  # that the gateways' certificate must have
    sources: dict[str, dict[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class Source:
    """One configured source with its collector; collector is None where that can't be loaded, and `why` says why."""

    name: str
    kind: str
    collector: type[Collector] | None
    settings: CollectorConfig | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class SatelliteConfig:
    """What satellite.toml says; paths are absolute."""

    path: Path
    site: str
    name: str
    uplinks: tuple[str, ...]
    certificate: Path
    key: Path
    trust: Path
    state: Path
    sources: Mapping[str, Source]
    spool: Bounds = DEFAULT
    proxy: str | None = None
    server_name: str = METACONSOLE_NAME


def load_config(path: Path, found: Found) -> SatelliteConfig:
    """Read and check satellite.toml with the collectors that are installed; raises ConfigError."""
    path = path.absolute()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(path, ["the file does not exist; --config names it"]) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(path, [f"the file can't be read: {error}"]) from error
    problems: list[str] = []
    file = _validated(_File, document, "", problems)
    sources = {}
    tables = document.get("sources", {})
    for name, table in tables.items() if isinstance(tables, dict) else ():
        if isinstance(table, dict):
            sources[name] = _source(name, table, found, problems)
    if problems or file is None:
        raise ConfigError(path, problems)
    here = path.parent
    return SatelliteConfig(
        path=path,
        site=file.site,
        name=file.name,
        uplinks=tuple(file.uplinks),
        certificate=here / file.certificate,
        key=here / file.key,
        trust=here / file.trust,
        state=here / file.state,
        spool=Bounds(file.spool.bytes, file.spool.days, file.spool.keep_hours),
        proxy=file.proxy,
        server_name=file.server_name,
        sources={name: source for name, source in sources.items() if source is not None},
    )


def _source(name: str, table: Mapping[str, Any], found: Found, problems: list[str]) -> Source | None:
    where = f"sources.{name}"
    if not re.fullmatch(_NAME, name):
        problems.append(f"{where}: a source's name has lower-case letters, digits and . _ - only, at most 63")
    kind = table.get("collector")
    if not isinstance(kind, str):
        problems.append(f'{where}.collector: this key is missing; add it, for example collector = "host"')
        return None
    if kind in found.missing:
        return Source(name, kind, None, None, found.missing[kind])
    if kind not in found.collectors:
        known = ", ".join(sorted({*found.collectors, *found.missing})) or "none"
        problems.append(f"{where}.collector: no collector {kind!r} is installed; there are: {known}")
        return None
    collector = found.collectors[kind]
    settings = {key: value for key, value in table.items() if key != "collector"}
    checked = _validated(collector.Config, settings, where, problems)
    return None if checked is None else Source(name, kind, collector, checked)


def _validated(model: type[M], values: Mapping[str, Any], where: str, problems: list[str]) -> M | None:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_context=False):
            key = ".".join(str(part) for part in ((where,) if where else ()) + tuple(problem["loc"]))
            problems.append(f"{key}: {_HINTS.get(problem['type'], problem['msg'])}")
        return None
