"""An inventory reaches the other end whole: whatever was lost before, one full one in however many parts is enough."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from fixtures.estate import estate
from hypothesis import given
from hypothesis import strategies as st

from satellite.encoding import resource
from satellite.inventory import InventoryTracker
from satellite.inventory_cut import ROOM
from shared.inventory_parts import Place, bounds, is_part, names_all_at, place_of, place_of_key
from shared.model import Inventory, Kind, Relation, RelationType, Resource, ResourceKey, State
from shared.pb import inventory_pb2 as pb

DAY_MS = 24 * 3600 * 1000
# Texts whose order by code points is another than that by UTF-16, one that is cut and one that can't travel.
KEYS = [
    ResourceKey(kind, key)
    for kind in (Kind.GUEST, Kind.HOST)
    for key in ("1", "10", "2", "ä", "\uffee", "\U00010000", "x" * 600, "\ud800", "\ud801")
]
resources = st.builds(
    Resource, st.sampled_from(KEYS), st.sampled_from(["a", "b"]), st.sampled_from([State.RUNNING, State.STOPPED])
)
relations = st.builds(Relation, st.sampled_from(KEYS), st.sampled_from(list(RelationType)), st.sampled_from(KEYS))
inventories = st.builds(
    Inventory, st.lists(resources, max_size=8, unique_by=lambda item: item.key), st.lists(relations, max_size=8)
)
# A change can't tell apart what is one thing when it is made safe to travel.
told_apart = inventories.filter(
    lambda found: (
        all(key.key != "\ud801" for edge in found.relations for key in (edge.source, edge.target))
        and all(item.key.key != "\ud801" for item in found.resources)
    )
)


def named(delta: pb.InventoryDelta) -> dict[Place, bytes]:
    """Return what a delta says that there is."""
    found = {place_of(item): item.SerializeToString(deterministic=True) for item in delta.resources}
    return found | {place_of(edge): edge.SerializeToString(deterministic=True) for edge in delta.relations}


@dataclass
class Metaconsole:
    """What the other end holds, in the simplest words: places, and what stands there."""

    held: dict[Place, bytes] = field(default_factory=dict)

    def take(self, deltas: Iterable[pb.InventoryDelta]) -> None:
        for delta in deltas:
            self.held = {place: item for place, item in self.held.items() if not names_all_at(delta, place)}
            self.held.update(named(delta))
            for removal in delta.removed:
                self.held.pop(place_of_key(removal.kind, removal.key), None)
            for relation in delta.removed_relations:
                self.held.pop(place_of(relation), None)


def whole(inventory: Inventory) -> dict[Place, bytes]:
    """Return what a metaconsole holds that was told of an inventory in one message."""
    (delta,) = InventoryTracker("s").update(inventory, 1)
    assert delta.full
    told = Metaconsole()
    told.take([delta])
    return told.held


@given(st.lists(inventories, min_size=1, max_size=5), st.integers(1, 4), st.data())
def test_after_any_losses_one_full_inventory_in_any_cut_and_order_is_what_there_is(
    seen: list[Inventory], room: int, data: st.DataObject
) -> None:
    tracker, metaconsole = InventoryTracker("s", (ROOM[0], room)), Metaconsole()
    for at, inventory in enumerate(seen, 1):
        for delta in tracker.update(inventory, at):
            if data.draw(st.booleans(), "arrives"):
                metaconsole.take([delta])
    parts = list(tracker.full())
    metaconsole.take(data.draw(st.permutations(parts)))
    metaconsole.take(data.draw(st.lists(st.sampled_from(parts)), "once more"))
    assert metaconsole.held == whole(seen[-1])


@given(st.lists(told_apart, min_size=1, max_size=6), st.integers(1, 4))
def test_changes_in_any_cut_lead_to_what_there_is_and_build_on_each_other(seen: list[Inventory], room: int) -> None:
    tracker, metaconsole, revision = InventoryTracker("s", (ROOM[0], room)), Metaconsole(), 0
    for at, inventory in enumerate(seen, 1):
        for delta in tracker.update(inventory, at):
            assert delta.base_revision == (0 if delta.full or is_part(delta) else revision)
            assert delta.revision == revision + 1
            assert delta.observed_ms == at
            revision = delta.revision
            metaconsole.take([delta])
    assert metaconsole.held == whole(seen[-1])


@given(inventories, st.integers(1, 4))
def test_parts_follow_each_other_without_a_hole_and_name_what_is_between_their_bounds(
    inventory: Inventory, room: int
) -> None:
    parts = list(InventoryTracker("s", (ROOM[0], room)).update(inventory, 1))
    if len(parts) == 1:
        assert parts[0].full == (not is_part(parts[0]))
        return
    assert (bounds(parts[0])[0], bounds(parts[-1])[1]) == (None, None)
    assert all(bounds(one)[1] == bounds(two)[0] is not None for one, two in pairwise(parts))
    for part in parts:
        assert not part.full
        assert all(names_all_at(part, place) for place in named(part))


def test_bytes_cut_as_well_and_what_is_too_large_for_itself_goes_alone() -> None:
    found = [Resource(ResourceKey(Kind.GUEST, str(n)), "n", attributes={"a": "x" * 100}) for n in range(3)]
    parts = list(InventoryTracker("s", (50, 100)).update(Inventory(found), 1))
    assert [[item.key for item in part.resources] for part in parts] == [["0"], ["1"], ["2"]]
    (one,) = InventoryTracker("s").update(Inventory([]), 1)
    assert (one.full, len(one.resources)) == (True, 0)


def test_everything_comes_again_after_a_day_and_nothing_where_nothing_changed() -> None:
    inventory, tracker = estate(5), InventoryTracker("s")
    (first,) = tracker.update(inventory, 1)
    assert list(tracker.update(inventory, DAY_MS)) == []
    (second,) = tracker.update(inventory, DAY_MS + 1)
    assert (first.full, second.full, second.revision) == (True, True, 2)
    assert second.resources == first.resources


def test_no_part_is_made_before_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Resource] = []

    def count(item: Resource) -> pb.Resource:
        made.append(item)
        return resource(item)

    tracker = InventoryTracker("s", (100_000, 20_000))
    monkeypatch.setattr("satellite.encoding.resource", count)
    parts = tracker.update(estate(1_000), 1)
    next(parts)
    made.clear()
    asked = len(next(parts).resources)
    assert 0 < asked < 300
    assert len(made) == asked


@pytest.mark.parametrize("stops_after", [0, 1])
def test_the_state_is_the_new_one_however_much_of_it_is_asked_for(stops_after: int) -> None:
    tracker = InventoryTracker("s", (ROOM[0], 1))
    parts = tracker.update(Inventory([Resource(key, "n") for key in KEYS[:3]]), 1)
    for _ in range(stops_after):
        next(parts)
    told = Metaconsole()
    told.take(tracker.full())
    assert len(told.held) == 3
