"""What stays is left out of the collector's walks, and what ended sessions leave behind is collected all the same."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest
from fixtures.waiting import wait_until

from metaconsole.gateway import garbage


class Node:
    """Something that can be part of a cycle."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(garbage, "SECONDS", 0.01)
    yield
    gc.unfreeze()


def test_what_stays_is_walked_no_more_and_cycles_go_once_many_sessions_have_ended() -> None:
    ended = 0

    async def scenario() -> None:
        nonlocal ended
        task = asyncio.create_task(garbage.keep_frozen(lambda: ended))
        held = [Node()]
        seen = weakref.ref(held[0])
        await wait_until(lambda: not any(one is held[0] for one in gc.get_objects()), 10, "it is left out of walks")
        held.clear()
        gc.collect()
        assert seen() is not None, "it was walked all the same"
        ended += garbage.ENDED
        await wait_until(lambda: seen() is None, 10, "its cycle is collected")
        task.cancel()

    asyncio.run(scenario())
