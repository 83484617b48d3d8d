"""What a satellite calls a series, and of many such definitions what most of them are.

The one promise: two definitions are equal where they define the same series.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Definition:
    """One checked definition; metric_id 0 stands for one that is refused: it gets the global id 0."""

    source: str
    kind: str
    key: str
    metric_id: int
    attributes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Churn:
    """What most of some definitions are: of one source, kind and metric, and the label of those with the most values.

    The label is the name of an attribute, or empty for the key of the resource.
    """

    source: str
    kind: str
    metric_id: int
    label: str
    values: int


def churn(definitions: Sequence[Definition]) -> Churn:
    """Return what most of the definitions are, of which there is at least one."""
    groups = Counter((one.source, one.kind, one.metric_id) for one in definitions)
    (group, _), *_ = groups.most_common(1)
    values: defaultdict[str, set[str]] = defaultdict(set)
    for one in definitions:
        if (one.source, one.kind, one.metric_id) == group:
            values[""].add(one.key)
            for name, value in one.attributes:
                values[name].add(value)
    # Where an attribute has as many values as the key, the attribute says more.
    label = max(values, key=lambda name: (len(values[name]), bool(name)))
    return Churn(*group, label, len(values[label]))
