"""Collectors, found by the entry-point group `nephoscope.collectors`; one whose library is missing is left out.

The one promise: a collector that can't be loaded is a sentence, never the end of the satellite.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from satellite.collector import Collector

GROUP: Final = "nephoscope.collectors"
_PACKAGES: Final = {"libvirt": "python3-libvirt or a C compiler with libvirt-dev"}  # what pip alone can't bring


@dataclass(frozen=True, slots=True)
class Found:
    """The collectors that are loaded, and why others are not, by name."""

    collectors: Mapping[str, type[Collector]]
    missing: Mapping[str, str]


def find_collectors() -> Found:
    """Load every installed collector that can be loaded."""
    collectors: dict[str, type[Collector]] = {}
    missing: dict[str, str] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            loaded = point.load()
        except ImportError as error:
            missing[point.name] = _sentence(point, error)
            continue
        except Exception as error:  # noqa: BLE001 - somebody else's module, whatever it does
            missing[point.name] = f"it failed while it was loaded: {type(error).__name__}: {error}"
            continue
        if isinstance(loaded, type) and issubclass(loaded, Collector):
            collectors[point.name] = loaded
        else:
            missing[point.name] = f"{point.value} is not a collector"
    return Found(collectors, missing)


def _sentence(point: EntryPoint, error: ImportError) -> str:
    extra = point.name if point.name in _PACKAGES else "satellite"
    system = f" (the system needs {_PACKAGES[point.name]})" if point.name in _PACKAGES else ""
    return f"{error}: pip install 'nephoscope[{extra}]'{system}"
