"""The vendor's answers to QueryPerf as arrays.

The one promise: values are parsed in bulk, however an answer is written; what is no number, or none that can be, is
absent and never fails the rest.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from satellite.collectors.vsphere.counters import Counters, Names, Shape
from satellite.collectors.vsphere.library import object_id
from shared.columns import F64, I64

_SERIES: Final = 1000  # of an entity that are looked at; more is no machine but an attack
_SAMPLES: Final = 1000  # of a series
_NO_NUMBER: Final = re.compile(
    rb"(?:(?<=,)|\A)(?!-?\d{1,300}(?:\.\d{1,300})?(?:[eE][+-]?\d{1,3})?(?:,|\Z))[^,]*", re.ASCII
)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What an answer has of one entity: its series, the instants (UTC milliseconds, ascending), series x instants."""

    id: str
    shape: Shape
    times: I64
    values: F64


def parse(answer: Sequence[Any], kind: str, asked: Mapping[str, object], counters: Counters) -> list[Found]:
    """Return what is said of those entities (by their ids) that were asked; all are of one type."""
    heads: dict[str, tuple[Shape, object]] = {}
    infos: dict[object, tuple[int, I64, I64]] = {}
    texts: list[str] = []
    for entity in answer:
        name = object_id(entity.entity)
        info = _info(entity)
        if info not in infos:
            infos[info] = _instants(info)
        if name in heads or name not in asked or not infos[info][0]:
            continue
        series = entity.value[:_SERIES]
        names: Names = tuple((each.id.counterId, each.id.instance or "") for each in series)
        heads[name] = counters.shape(kind, names), info
        texts += [_text(each.value, infos[info][0]) for each in series]
    return _cut(numbers(",".join(texts)), heads, infos)


def _cut(
    flat: F64, heads: Mapping[str, tuple[Shape, object]], infos: Mapping[object, tuple[int, I64, I64]]
) -> list[Found]:
    found, start = [], 0
    for name, (shape, info) in heads.items():
        count, times, order = infos[info]
        end = start + len(shape) * count
        values = flat[start:end].reshape(len(shape), count)
        start = end
        if shape and len(times):
            found.append(Found(name, shape, times, values if len(times) == count else values[:, order]))
    return found


def numbers(text: str) -> F64:
    """Return the numbers between the commas of a text, NaN for whatever is none."""
    if not text:
        return np.full(1, np.nan)
    data = text.encode("ascii", "replace")
    if not _plain(data):
        data = _NO_NUMBER.sub(b"nan", data)
    return np.fromstring(data, dtype=np.float64, sep=",")


def _plain(data: bytes) -> bool:
    """Tell whether there are whole numbers only: looked at in bulk, for nearly all answers are so."""
    if data.translate(None, b"0123456789,-"):
        return False
    framed = b"," + data + b","
    return b",," not in framed and b"-," not in framed and framed.count(b"-") == framed.count(b",-")


def _info(entity: Any) -> object:
    """Return the instants of an entity's samples as they are written; equal where they are the same."""
    text = getattr(entity, "sampleInfoCSV", None)
    if isinstance(text, str):
        return text
    return tuple(info.timestamp for info in getattr(entity, "sampleInfo", None) or ())


def _instants(info: object) -> tuple[int, I64, I64]:
    """Return how many samples there are, their instants (ascending, each once), and where among them each stands."""
    try:
        times = [datetime.fromisoformat(text) for text in info.split(",")[1::2]] if isinstance(info, str) else info
        moments = [round(_aware(time).timestamp() * 1000) for time in times]  # type: ignore[attr-defined]
    except (ValueError, OverflowError):
        moments = []
    if len(moments) > _SAMPLES:
        moments = []
    ascending, order = np.unique(np.array(moments, dtype=np.int64), return_index=True)
    return len(moments), ascending, order


def _aware(time: datetime) -> datetime:
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _text(value: Any, count: int) -> str:
    """Return the values of a series as text with exactly so many of them, none where there are not as many."""
    text = value if isinstance(value, str) else ",".join(map(str, value or ()))
    return text if text and text.count(",") + 1 == count else "," * (count - 1)
