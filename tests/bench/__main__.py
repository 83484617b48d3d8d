"""`python -m tests.bench` at the root of a checkout."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where bench and fixtures are found, as in pytest

from bench.command import main

main(sys.argv[1:])
