"""What the group `vsphere` reads out of the notes of its satellite."""

import numpy as np
from bench.vsphere import cycles, first
from bench.vsphere_satellite import Note, note_of

from shared import columns
from shared.pb import inventory_pb2, telemetry_pb2, uplink_pb2

SECOND = 10**9


def test_first_sight_is_the_whole_inventory_and_a_whole_cycle() -> None:
    notes = [Note(5 * SECOND, 5 * SECOND, resources=6)]
    assert first(notes, 10) is None
    notes += [Note(8 * SECOND, 6 * SECOND, "realtime", 30)]
    assert first(notes, 10) is None, "half an inventory"
    notes += [Note(7 * SECOND, 7 * SECOND, resources=4)]
    assert first(notes, 10) == 8
    notes += [Note(9 * SECOND, 6 * SECOND, "realtime", 30)]
    assert first(notes, 10) == 9, "a cycle of two frames"
    notes += [Note(70 * SECOND, 66 * SECOND, "realtime", 60), Note(71 * SECOND, 70 * SECOND, "history", 9)]
    assert first(notes, 10) == 9
    assert cycles(notes) == [3, 4]


def test_a_note_holds_what_a_frame_holds() -> None:
    batch = telemetry_pb2.Batch(source="v", plan="realtime", monotonic_ns=7)
    batch.times.CopyFrom(columns.encode(np.array([1000, 2000], dtype=np.int64)))
    block = batch.blocks.add(metric="m", scope=telemetry_pb2.TIME_SCOPE_BATCH)
    block.series.CopyFrom(columns.encode(np.array([1, 2], dtype=np.int64)))
    block.values.CopyFrom(columns.encode(np.array([1, 2, 3, 4], dtype=np.int64)))
    assert note_of(uplink_pb2.Frame(batch=batch), 9) == Note(9, 7, "realtime", 4)
    resources = [inventory_pb2.Resource(key="a"), inventory_pb2.Resource(key="b")]
    delta = inventory_pb2.InventoryDelta(resources=resources)
    assert note_of(uplink_pb2.Frame(inventory=delta), 9) == Note(9, 9, resources=2)
    gaps = telemetry_pb2.GapList(gaps=[telemetry_pb2.Gap(plan="realtime", detail="away")])
    assert note_of(uplink_pb2.Frame(gaps=gaps), 9) == Note(9, 9, gaps=("realtime: away",))
