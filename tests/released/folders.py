"""The releases that are kept: a folder each, named by its version, written by make.py when it was tagged."""

from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
RELEASES: Final[list[Path]] = sorted(path.parent for path in HERE.glob("*/descriptors.binpb"))
