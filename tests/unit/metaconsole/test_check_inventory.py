"""The gateway's check of a full inventory in parts: what a tracker makes passes, at its limits, and nothing else."""

from typing import Any

import pytest
from fixtures.estate import estate

from metaconsole.gateway.check_facts import check_inventory
from metaconsole.gateway.refused import RefusedError
from metaconsole.gateway.window import Window
from satellite.inventory import InventoryTracker
from shared.batches import MESSAGE_BYTES
from shared.inventory_parts import is_part
from shared.model import Inventory, Kind, Relation, RelationType, Resource, ResourceKey
from shared.pb import inventory_pb2 as pb
from shared.pb import telemetry_pb2

NOW = 1_700_000_000_000
WINDOW = Window(NOW, 400)


def bare(resources: int, relations: int) -> Inventory:
    """Return what takes the fewest bytes for so much."""
    keys = [ResourceKey(Kind.HOST, str(number)) for number in range(resources)]
    edges = [
        Relation(keys[number % resources], RelationType.SAME_AS, keys[number // resources])
        for number in range(relations)
    ]
    return Inventory([Resource(key, "") for key in keys], edges)


@pytest.mark.parametrize(
    ("inventory", "whole"),
    [(estate(3_000), True), (estate(6_000), False), (bare(15_000, 5_000), True), (bare(15_000, 5_001), False)],
    ids=["2 MB", "5 MB", "20,000 items", "one more"],
)
def test_what_fits_is_one_message_and_what_does_not_is_parts_that_are_taken(inventory: Inventory, whole: bool) -> None:
    sent = list(InventoryTracker("s").update(inventory, NOW))
    assert [(delta.full, is_part(delta)) for delta in sent] == [(whole, not whole)] * len(sent)
    assert (len(sent) == 1) == whole
    assert max(delta.ByteSize() for delta in sent) < (MESSAGE_BYTES if whole else MESSAGE_BYTES // 3)
    rows = [check_inventory(delta, {"s": 5}, WINDOW) for delta in sent]
    assert [pb.InventoryDelta.FromString(row.payload) for row in rows] == sent


def at(kind: str, key: str, relation_type: str = "", to_kind: str = "", to_key: str = "") -> pb.Relation:
    bound = pb.Relation(type=relation_type)
    getattr(bound, "from").CopyFrom(telemetry_pb2.ResourceRef(kind=kind, key=key))
    if to_kind:
        bound.to.CopyFrom(telemetry_pb2.ResourceRef(kind=to_kind, key=to_key))
    return bound


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"part_begin": at("host", "1"), "full": True}, "not full by itself"),
        ({"part_end": at("host", "1"), "removed": [pb.Removal(kind="host", key="2")]}, "removes nothing"),
        ({"part_begin": at("host", "1"), "part_end": at("host", "1")}, "ends before it begins"),
        ({"part_begin": at("host", "1", "runs_on", "host", "2"), "part_end": at("host", "1")}, "ends before"),
        ({"part_begin": at("host", "5"), "resources": [pb.Resource(kind="host", key="4", state="up")]}, "outside"),
        ({"part_end": at("host", "5"), "relations": [at("host", "1", "runs_on", "host", "2")]}, "outside"),
        ({"part_begin": at("demon", "5")}, "not a kind"),
        ({"part_begin": at("host", "5", "haunts", "host", "2")}, "not a type"),
        ({"part_begin": at("host", "5", "runs_on")}, "not a kind"),
        ({"part_begin": at("host", "5", "", "host", "2")}, "no other end"),
        ({"part_end": pb.Relation()}, "not a kind"),
        ({"part_end": at("host", "\0")}, "NUL"),
        ({"part_end": at("host", "k" * 501)}, "at most 500"),
    ],
)
def test_bounds_that_can_not_be_are_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RefusedError, match=sentence):
        check_inventory(pb.InventoryDelta(source="s", observed_ms=NOW, **fields), {}, WINDOW)
