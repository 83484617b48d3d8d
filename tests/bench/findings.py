"""What a group of the benchmark found: the values of each run by key, why a key has none, and notes for the report.

The one promise: what is said here stands on the terminal at once and in docs/performance.md at the end, word for word.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Findings:
    """Filled while a group runs; a note is a line of Markdown."""

    runs: dict[str, list[float]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def found(self, values: Mapping[str, float]) -> None:
        """Add the values of one run."""
        for key, value in values.items():
            self.runs.setdefault(key, []).append(value)

    def say(self, line: str) -> None:
        """Print a line, and keep it for the report."""
        print(line, flush=True)
        self.notes.append(line)
