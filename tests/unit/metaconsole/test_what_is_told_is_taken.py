"""Whatever a source calls its things, the gateway takes what the satellite makes of it."""

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from metaconsole.gateway.check_facts import check_events, check_inventory
from metaconsole.gateway.window import Window
from satellite.encoding import events_frame
from satellite.inventory import InventoryTracker
from shared.model import (
    AttributeValue,
    Event,
    IdentityClaim,
    Inventory,
    Kind,
    Relation,
    RelationType,
    Resource,
    ResourceKey,
)

NOW: Final = 1_700_000_000_000
WINDOW: Final = Window(NOW, 400)
LONG: Final = "x" * 5_000
texts: Final = st.one_of(st.text(max_size=5), st.sampled_from([LONG, "\0", "\ud800", "é" * 600]))
names: Final = texts.filter(bool)
values: Final[st.SearchStrategy[AttributeValue]] = st.one_of(
    texts, st.integers(), st.floats(), st.booleans(), st.sampled_from([2**63, -(2**70)])
)
claims: Final = st.builds(IdentityClaim, st.sampled_from(["mac", "instance_uuid"]), texts, st.integers(1, 100))
attributes: Final = st.dictionaries(texts, values, max_size=4)


@st.composite
def resources(draw: st.DrawFn) -> Resource:
    many = draw(st.sampled_from([0, 0, 0, 300]))
    more = {f"a{number}": number for number in range(many)}
    some = [IdentityClaim("mac", str(number), 70) for number in range(many)]
    key = ResourceKey(Kind.GUEST, draw(names))
    told = draw(attributes) | more
    return Resource(key, draw(texts), state_reason=draw(texts), attributes=told, claims=draw(st.lists(claims)) + some)


@given(st.lists(resources(), max_size=4, unique_by=lambda one: one.key))
def test_an_inventory(found: list[Resource]) -> None:
    edges = [Relation(one.key, RelationType.RUNS_ON, found[0].key) for one in found]
    for delta in InventoryTracker("s").update(Inventory(found, edges), NOW):
        assert check_inventory(delta, {"s": 1}, WINDOW).source_id == 1


@given(names, texts, attributes)
def test_an_event(identity: str, message: str, told: dict[str, AttributeValue]) -> None:
    event = Event(identity, NOW, "guest.started", message, attributes=told)
    assert check_events(events_frame("s", [event]).events, WINDOW).first_ms == NOW
