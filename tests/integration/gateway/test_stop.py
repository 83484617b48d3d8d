"""A gateway that is told to stop stops, whatever its duties wait for at that moment."""

import asyncio
import dataclasses
import time
from pathlib import Path

import pytest
from fixtures.gateway import Place, gateway

from metaconsole.gateway.server import serve


@pytest.mark.parametrize("busy", [0.0, 0.05, 0.3])
def test_a_gateway_that_is_stopped_as_it_begins_ends(place: Place, busy: float) -> None:
    async def scenario() -> None:
        async with gateway(place):
            time.sleep(busy)  # noqa: ASYNC251  # its duties get no turn: they are cancelled where they have just begun

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await scenario()

    asyncio.run(bounded())


def test_a_gateway_that_waits_for_its_database_can_be_stopped(place: Place, tmp_path: Path) -> None:
    away = dataclasses.replace(place.settings, database_url=f"postgresql://x@/x?host={tmp_path}")

    async def scenario() -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(serve(away, stop))
        stop.set()
        await asyncio.wait_for(task, 30)

    asyncio.run(scenario())
