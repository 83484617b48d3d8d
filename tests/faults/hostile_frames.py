"""Frames that no honest satellite sends: what is in each, and the reason and the sentence by which it is refused."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from fixtures.gateway import METRIC, batch, inventory

from shared.columns import encode
from shared.pb import events_pb2, inventory_pb2, telemetry_pb2

MIB: Final = 1024 * 1024
ANSI: Final = "\x1b[31m\r\n"
RAW, PCODEC = telemetry_pb2.ENCODING_RAW, telemetry_pb2.ENCODING_PCODEC


def now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


def spoilt(**fields: Any) -> telemetry_pb2.Batch:
    """Return a batch of two samples, with fields of its values' column replaced."""
    made = batch([1, 2], [0.1, 0.2])
    column = made.blocks[0].values
    for name, value in fields.items():
        setattr(column, name, value)
    return made


def around_the_clock() -> telemetry_pb2.Batch:
    """Return a batch whose instants seem to ascend, once around 2^64, and begin and end now."""
    quarter, now = 2**62, now_ms() - 1000
    instants = np.array([now, now + quarter, now + 2 * quarter - 2**64, now + 3 * quarter - 2**64, now + 5])
    return batch([1], [0.1] * 5, times=encode(instants.astype(np.int64)))


def of_a_resource(**fields: Any) -> dict[str, Any]:
    """Return an inventory whose only resource has some fields replaced."""
    delta = inventory("h1", "name")
    resource = inventory_pb2.Resource(**({"kind": "host", "key": "h1", "name": "name", "state": "up"} | fields))
    delta.resources[0].CopyFrom(resource)
    return {"inventory": delta}


def events(**fields: Any) -> dict[str, Any]:
    """Return a list of one event, with fields replaced."""
    plain: dict[str, Any] = {"id": "e1", "source": "machine", "time_ms": now_ms(), "type": "power.on", "severity": 1}
    return {"events": events_pb2.EventList(events=[events_pb2.Event(**(plain | fields))])}


def block_of(**fields: Any) -> dict[str, Any]:
    """Return a batch with one block more, whose fields are given."""
    made = batch([1, 2], [0.1, 0.2])
    made.blocks.append(telemetry_pb2.Block(metric=METRIC, **fields))
    return {"batch": made}


def many(count: int) -> dict[str, inventory_pb2.AttributeValue]:
    return {f"a{number}": inventory_pb2.AttributeValue(text="v") for number in range(count)}


def number(value: float) -> dict[str, inventory_pb2.AttributeValue]:
    return {"a": inventory_pb2.AttributeValue(number=value)}


def a_host(key: str) -> inventory_pb2.Relation:
    """Return the place of a host, as a bound of a part of an inventory."""
    bound = inventory_pb2.Relation()
    getattr(bound, "from").CopyFrom(telemetry_pb2.ResourceRef(kind="host", key=key))
    return bound


def gap(**fields: Any) -> dict[str, Any]:
    plain = {"from_ms": now_ms() - 5, "to_ms": now_ms(), "reason": telemetry_pb2.GAP_REASON_ERROR}
    return {"gaps": telemetry_pb2.GapList(gaps=[telemetry_pb2.Gap(**(plain | fields))])}


SAMPLE, RESOURCE = telemetry_pb2.TIME_SCOPE_SAMPLE, telemetry_pb2.TIME_SCOPE_RESOURCE
ONE, TWO = encode(np.array([1])), encode(np.array([1, 2]))
FRAMES: Final[dict[str, tuple[Callable[[], dict[str, Any]], str, str]]] = {
    "no content": (dict, "malformed", "upgrade the metaconsole"),
    "over 4 MiB": (lambda: {"batch": batch([1], [0.1], plan="x" * 4 * MIB)}, "limit", "at most 4194304"),
    "not a number": (
        lambda: {"batch": spoilt(encoding=RAW, data=np.array([0.1, np.nan]).tobytes())}, "malformed", "NaN"),
    "an infinity": (
        lambda: {"batch": spoilt(encoding=RAW, data=np.array([0.1, -np.inf]).tobytes())}, "malformed", "infinity"),
    "garbage for a column": (lambda: {"batch": spoilt(encoding=PCODEC, data=b"\xff" * 99)}, "malformed", "pcodec"),
    "an encoding to come": (lambda: {"batch": spoilt(encoding=99)}, "malformed", "encoding 99 is not known"),
    "a format to come": (lambda: {"batch": spoilt(version=2**32 - 1)}, "malformed", "version 4294967295"),
    "4 billion values": (lambda: {"batch": spoilt(count=2**32 - 1)}, "malformed", "claims 4294967295 values"),
    "4 billion series": (
        lambda: block_of(scope=SAMPLE, series=telemetry_pb2.Column(count=2**32 - 1)), "limit", "at most 200000"),
    "ids beyond 64 bits": (
        lambda: block_of(scope=SAMPLE, values=TWO, times=TWO, series=telemetry_pb2.Column(
            encoding=telemetry_pb2.ENCODING_ARITHMETIC, version=1, type=telemetry_pb2.VALUE_TYPE_I64, count=2,
            data=np.array([2**63 - 1, 2**63 - 1]).tobytes())),
        "malformed", "leaves the range of int64"),
    "too many blocks": (
        lambda: {"batch": telemetry_pb2.Batch(
            source="machine", interval_ms=1, times=ONE, blocks=[telemetry_pb2.Block()] * 5_001)},
        "limit", "at most 5000"),
    "a series of nobody": (lambda: {"batch": batch([1, 4711], [0.1, 0.2])}, "unknown_series", "are 1 to 2"),
    "series 0": (lambda: {"batch": batch([0, 1], [0.1, 0.2])}, "unknown_series", "are 1 to 2"),
    "a series twice": (lambda: {"batch": batch([1, 1], [0.1, 0.2])}, "malformed", "twice"),
    "a time index beyond": (
        lambda: block_of(scope=RESOURCE, series=TWO, values=encode(np.array([0.1, 0.2])),
                         times=encode(np.array([0, 2**62]))), "malformed", "outside the batch's 1 instants"),
    "a scope to come": (
        lambda: block_of(scope=77, series=TWO, values=encode(np.array([0.1, 0.2]))), "malformed", "time scope 77"),
    "the past": (lambda: {"batch": batch([1], [0.1], at_ms=1)}, "skew", "outside the window"),
    "the future": (lambda: {"batch": batch([1], [0.1], at_ms=now_ms() + 3_600_000)}, "skew", "outside the window"),
    "the end of time": (lambda: {"batch": batch([1], [0.1], at_ms=2**63 - 1)}, "skew", "outside the window"),
    "before the beginning": (lambda: {"batch": batch([1], [0.1], at_ms=-(2**63))}, "skew", "outside the window"),
    "once around the clock": (lambda: {"batch": around_the_clock()}, "malformed", "do not"),
    "a sample of long ago": (
        lambda: block_of(scope=SAMPLE, series=ONE, values=encode(np.array([0.1])),
                         times=encode(np.array([-(2**63)]))), "skew", "outside the window"),
    "no interval": (lambda: {"batch": batch([1], [0.1], interval_ms=0)}, "malformed", "1 ms to 8 days"),
    "half a boot id": (lambda: {"batch": batch([1], [0.1], boot_id=b"short")}, "malformed", "16 bytes"),
    "a source of 100 kB": (lambda: {"batch": batch([1], [0.1], source="s" * 100_000)}, "limit", "at most 200"),
    "a source of NUL": (lambda: {"batch": batch([1], [0.1], source="a\0b")}, "malformed", "NUL"),
    "somebody else's source": (lambda: {"batch": batch([1], [0.1], source="theirs")}, "malformed", "another source"),
    "a plan of 100 kB": (lambda: {"batch": batch([1], [0.1], plan="p" * 100_000)}, "limit", "at most 200"),
    "a metric of escapes": (
        lambda: {"batch": telemetry_pb2.Batch(source="machine", interval_ms=1, times=encode(np.array([now_ms()])),
                 blocks=[telemetry_pb2.Block(metric=ANSI, series=ONE)])}, "unknown_metric", r"\x1b[31m\r\n"),
    "a name of 100 kB": (lambda: of_a_resource(name="n" * 100_000), "limit", "at most 500"),
    "a key of NUL": (lambda: of_a_resource(key="\0"), "malformed", "NUL"),
    "a kind of nobody": (lambda: of_a_resource(kind="demon"), "malformed", "not a kind"),
    "a state of nobody": (lambda: of_a_resource(state="bewitched"), "malformed", "not a state"),
    "attributes without end": (lambda: of_a_resource(attributes=many(201)), "limit", "at most 200"),
    "an infinite attribute": (lambda: of_a_resource(attributes=number(float("inf"))), "malformed", "not a finite"),
    "claims without end": (
        lambda: of_a_resource(claims=65 * [inventory_pb2.IdentityClaim(type="serial", value="1")]),
        "limit", "at most 64"),
    "resources without end": (
        lambda: {"inventory": inventory("h", "n", resources=[inventory_pb2.Resource()] * 20_001)},
        "limit", "at most 20000"),
    "relations without end": (
        lambda: {"inventory": inventory("h", "n", relations=[inventory_pb2.Relation()] * 50_001)},
        "limit", "at most 50000"),
    "a resource twice": (
        lambda: {"inventory": inventory("h", "n", removed=[inventory_pb2.Removal(kind="host", key="h")])},
        "malformed", "twice"),
    "a part that is full": (
        lambda: {"inventory": inventory("h", "n", part_end=a_host("z"))}, "malformed", "not full by itself"),
    "a part that ends before it begins": (
        lambda: {"inventory": inventory("h", "n", full=False, part_begin=a_host("z"), part_end=a_host("a"))},
        "malformed", "before it begins"),
    "a part that names more than it is": (
        lambda: {"inventory": inventory("h", "n", full=False, part_begin=a_host("z"))}, "malformed", "outside"),
    "a part that begins with a NUL": (
        lambda: {"inventory": inventory("h", "n", full=False, part_begin=a_host("\0"))}, "malformed", "NUL"),
    "an inventory of long ago": (lambda: {"inventory": inventory("h", "n", observed_ms=-1)}, "skew", "outside"),
    "events without end": (
        lambda: {"events": events_pb2.EventList(events=[events_pb2.Event()] * 10_001)}, "limit", "at most 10000"),
    "a position without end": (
        lambda: {"events": events_pb2.EventList(events=[events_pb2.Event()], position="x" * 501)}, "limit", "position"),
    "an event of markup": (lambda: events(type="<script>"), "malformed", "not a type"),
    "an event at no time": (lambda: events(time_ms=2**63 - 1), "skew", "outside"),
    "an event of NaN": (lambda: events(attributes=number(float("nan"))), "malformed", "not a finite"),
    "a severity to come": (lambda: events(severity=99), "malformed", "severity 99"),
    "a novel for a message": (lambda: events(message="m" * 100_000), "limit", "at most 4000"),
    "a gap that ends before it begins": (
        lambda: gap(from_ms=now_ms(), to_ms=now_ms() - 1000), "malformed", "before it begins"),
    "a gap for ever": (lambda: gap(to_ms=2**63 - 1), "skew", "outside"),
    "a gap without a reason": (lambda: gap(reason=0), "malformed", "reason"),
    "gaps without end": (
        lambda: {"gaps": telemetry_pb2.GapList(gaps=[telemetry_pb2.Gap()] * 10_001)}, "limit", "at most 10000"),
}  # fmt: skip
