"""A gateway that is told to stop stops, whatever its duties wait for at that moment."""

import asyncio
import time
from pathlib import Path

import pytest
from fixtures.gateway import gateway, make_place


@pytest.mark.parametrize("busy", [0.0, 0.05, 0.3])
def test_a_gateway_that_is_stopped_as_it_begins_ends(database_url: str, tmp_path: Path, busy: float) -> None:
    place = make_place(database_url, tmp_path)

    async def scenario() -> None:
        async with gateway(place):
            time.sleep(busy)  # noqa: ASYNC251  # its duties get no turn: they are cancelled where they have just begun

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await scenario()

    asyncio.run(bounded())
