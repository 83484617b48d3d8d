"""At the spool's bounds of bytes and days: what was acknowledged goes first, then the oldest that waits."""

import asyncio
from pathlib import Path

import pytest
from fixtures.bounded_spools import DAY_MS, Clock, append, bounds, losses, opened, segments, waiting

from satellite.bounds import MIB, default_bytes
from satellite.segments import FRAME_COST
from satellite.spool_errors import SpoolFullError
from shared.pb import telemetry_pb2 as pb

pytestmark = pytest.mark.usefixtures("a_segment_for_each_append")


def test_at_the_bound_the_acknowledged_go_first_and_then_the_oldest_that_wait(tmp_path: Path, clock: Clock) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds(frames=6)) as spool:
            await append(spool, 1, 2, 3, 4, 5, 6)
            spool.acknowledge(spool.current.id, [(3, 4)])
            await append(spool, 7, 8)
            assert segments(tmp_path) == [1, 2, 5, 6, 7, 8]
            assert not losses(spool)
            await append(spool, 9, 10)
            assert segments(tmp_path) == [5, 6, 7, 8, 9, 10]
            assert await waiting(spool) == [5, 6, 7, 8, 9, 10]
            assert [(first, last) for first, last, _, _ in losses(spool)] == [(1, 1), (2, 2)]
            assert spool.dropped == (2, 0)
            assert spool.depth().held_bytes <= spool.bound

    asyncio.run(scenario())


def test_the_oldest_run_gives_first(tmp_path: Path, clock: Clock) -> None:
    async def scenario() -> None:
        for number in (1, 2, 3):
            async with opened(tmp_path, clock, bounds()) as spool:
                await append(spool, number)
        async with opened(tmp_path, clock, bounds(frames=4)) as spool:
            await append(spool, 4, 5, 6)
            assert await waiting(spool) == [3, 4, 5, 6]

    asyncio.run(scenario())


def test_a_bound_below_what_is_there_is_kept_at_once(tmp_path: Path, clock: Clock) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds()) as spool:
            await append(spool, *range(1, 9))
        async with opened(tmp_path, clock, bounds(frames=3)) as spool:
            await spool.sweep()
            assert await waiting(spool) == [6, 7, 8]
            assert spool.dropped == (5, 0)

    asyncio.run(scenario())


def test_definitions_count_for_the_bound(tmp_path: Path, clock: Clock) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds(frames=4)) as spool:
            await append(spool, 1, 2, 3)
            await spool.define([pb.SeriesDefinition(id=1, metric="m" * 2 * FRAME_COST)])
            assert await waiting(spool) == [3]

    asyncio.run(scenario())


def test_what_waits_for_too_long_is_dropped_by_whichever_clock_says_less(tmp_path: Path, clock: Clock) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds()) as spool:
            await append(spool, 1)
        clock.passes(hours=24 * 6)
        async with opened(tmp_path, clock, bounds()) as spool:
            await append(spool, 2)
            clock.ms += 365 * DAY_MS  # the clock jumps
            await spool.sweep()
            clock.seconds += 2 * 3600
            await spool.sweep()
            assert await waiting(spool) == [1, 2], "no age of seven days is proven"
            clock.seconds += 30 * 3600
            await spool.sweep()
            assert await waiting(spool) == [2]
        clock.ms -= 365 * DAY_MS
        clock.passes(hours=24 * 30)
        async with opened(tmp_path, clock, bounds()) as spool:
            await spool.sweep()
            assert await waiting(spool) == [2], "after a start it may first be delivered"
            clock.passes(hours=1.1)
            await spool.sweep()
            assert await waiting(spool) == []

    asyncio.run(scenario())


def test_the_default_bound_is_a_fifth_of_what_is_free_within_limits() -> None:
    assert [default_bytes(free) // MIB for free in (0, 1000 * MIB, 10**12)] == [64, 200, 2048]


def test_a_full_spool_is_no_error_of_an_append(tmp_path: Path, clock: Clock) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds(frames=1)) as spool:
            try:
                await append(spool, *range(1, 30))
            except SpoolFullError as error:
                raise AssertionError("the newest wins") from error
            assert await waiting(spool) == [28, 29], "the newest segment may be written to and stays"

    asyncio.run(scenario())
