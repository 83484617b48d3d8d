"""What a spool keeps for a metaconsole that is restored, and a spool that is itself restored or damaged."""

import asyncio
import shutil
from pathlib import Path

import pytest
from fixtures.bounded_spools import Clock, append, bounds, files, losses, opened, segments, waiting
from fixtures.spools import UnsyncedFiles

from satellite.records import HEAD_BYTES, scan
from satellite.spool import Spool
from shared.pb import telemetry_pb2 as pb

pytestmark = pytest.mark.usefixtures("a_segment_for_each_append")


def test_an_acknowledged_segment_is_kept_for_its_time_over_restarts_and_offered_to_a_restored_centre(
    tmp_path: Path, clock: Clock
) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds()) as spool:
            await append(spool, 1, 2)
            old = spool.current.id
            clock.passes(hours=48)  # an outage: it is the acknowledgement from which on a segment is kept
            spool.acknowledge(old, [(1, 2)])
        clock.passes(hours=20)
        async with opened(tmp_path, clock, bounds()) as spool:
            await spool.sweep()
            assert (await waiting(spool), segments(tmp_path)) == ([], [1, 2])
            spool.forget_acknowledged()
            assert await waiting(spool) == [1, 2]
            spool.acknowledge(old, [(1, 2)])
            await spool.sweep()
            clock.passes(hours=23)
            await spool.sweep()
            assert segments(tmp_path) == [1, 2], "kept anew since it was acknowledged anew"
            clock.passes(hours=2)
            await spool.sweep()
            assert segments(tmp_path) == []
            assert [one.id for one in spool.epochs] == [spool.current.id]

    asyncio.run(scenario())


def test_a_restored_centre_is_told_again_what_was_dropped(tmp_path: Path, clock: Clock) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds(frames=2)) as spool:
            await append(spool, 1, 2, 3)
            spool.acknowledge(spool.current.id, [(1, 3)])
            await spool.sweep()
            spool.forget_acknowledged()
            assert [(first, last, reason) for first, last, _, reason in losses(spool)] == [
                (1, 1, pb.GAP_REASON_DROPPED)
            ]
            assert await waiting(spool) == [2, 3]

    asyncio.run(scenario())


def test_what_is_acknowledged_while_a_sweep_is_under_way_is_kept_before_its_segment_goes(
    tmp_path: Path, clock: Clock
) -> None:
    class Meanwhile(UnsyncedFiles):
        def touch(self, path: Path, ms: int) -> None:
            super().touch(path, ms)
            spool.acknowledge(spool.current.id, [(2, 2)])

    async def scenario() -> None:
        await append(spool, 1, 2, 3, 4)
        spool.acknowledge(spool.current.id, [(1, 1)])
        await spool.sweep()
        assert segments(tmp_path) == [2, 3, 4]
        await spool.sweep()
        assert segments(tmp_path) == [3, 4]
        await spool.close()

    spool = Spool(tmp_path, clock.now_ms, Meanwhile(), bounds(keep_hours=0))
    asyncio.run(scenario())


def test_bit_rot_in_a_kept_segment_costs_its_frame_and_is_declared_only_where_it_waited(
    tmp_path: Path, clock: Clock
) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, clock, bounds()) as spool:
            await append(spool, 1, 2, 3)
            old = spool.current.id
            spool.acknowledge(old, [(1, 2)])
        paths = files(tmp_path, "*.segment")
        for path in paths[1:]:
            data = bytearray(path.read_bytes())
            data[scan(bytes(data)).records[0].offset + HEAD_BYTES] ^= 1
            path.write_bytes(data)
        paths[0].write_bytes(paths[0].read_bytes() + b"torn")
        async with opened(tmp_path, clock, bounds()) as spool:
            assert (await waiting(spool), losses(spool)) == ([], [])  # 3 was the last record: a torn tail
            spool.forget_acknowledged()
            assert await waiting(spool) == [1], "the kept frame that is damaged can't be offered again"

    asyncio.run(scenario())


def test_a_spool_restored_from_an_older_copy_offers_what_it_has(tmp_path: Path, clock: Clock) -> None:
    async def scenario() -> None:
        state = tmp_path / "state"
        async with opened(state, clock, bounds(frames=4)) as spool:
            await append(spool, 1, 2, 3)
            old = spool.current.id
            shutil.copytree(state, tmp_path / "copy")
            await append(spool, 4, 5, 6)
            assert [(a, b) for a, b, _, _ in losses(spool)] == [(1, 1), (2, 2)]
        async with opened(tmp_path / "copy", clock, bounds(frames=4)) as spool:
            assert (await waiting(spool), losses(spool)) == ([1, 2, 3], [])
            assert spool.epochs[0].id == old
            await append(spool, 7)
            assert spool.current.id != old

    asyncio.run(scenario())
