"""A satellite that dies, or whose machine loses power, at any step of what its spool does at its bounds."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from fixtures.bounded_spools import Clock, append, bounds, opened
from fixtures.dying import Dead, DyingFiles
from fixtures.spools import events_frame, ident

from satellite.spool import Spool
from shared.pb import telemetry_pb2 as pb

pytestmark = pytest.mark.usefixtures("a_segment_for_each_append")


STEPS = 400  # more than the story has


@pytest.mark.parametrize("power", [False, True], ids=["kill", "power loss"])
def test_death_at_any_step_leaves_each_sequence_pending_taken_or_lost(
    tmp_path: Path, clock: Clock, *, power: bool
) -> None:
    """A story with everything in it: acknowledged segments that go, drops, an old run that goes, an age."""
    died = 0
    for step in range(1, STEPS):
        state, copy = tmp_path / f"{step}", tmp_path / f"{step}-after"
        asyncio.run(first_run(state, clock))
        dying = DyingFiles(step)
        dying.sync_known(state)
        told, acknowledged = asyncio.run(second_run(state, Clock(), dying))
        if power:
            dying.survives_power_loss(state, copy)
        else:
            shutil.copytree(state / "spool", copy / "spool")
        asyncio.run(judge(copy, clock, told, acknowledged))
        shutil.rmtree(state)
        shutil.rmtree(copy)
        if dying.steps < step:
            break
        died += 1
    assert 50 < died < STEPS - 1, "the story has to have steps, and an end"


async def first_run(state: Path, clock: Clock) -> None:
    async with opened(state, clock, bounds()) as spool:
        await append(spool, 1, 2, 3)
        spool.acknowledge(spool.current.id, [(2, 2)])


async def second_run(state: Path, clock: Clock, dying: DyingFiles) -> tuple[dict[bytes, dict[int, int]], set[bytes]]:
    """Return the frames whose append had returned, by epoch and sequence, and the epochs that were acknowledged."""
    clock.passes(hours=24 * 7 - 1)
    told: dict[bytes, dict[int, int]] = {}
    acknowledged: set[bytes] = set()
    spool: Spool | None = None
    try:
        spool = Spool(state, clock.now_ms, dying, bounds(frames=6), monotonic=clock.monotonic)
        old = spool.epochs[0].id
        told[old] = {1: 1, 2: 2, 3: 3}
        told[spool.current.id] = {}
        for number in range(4, 12):
            frame = events_frame(number)
            await spool.append(frame)
            told[frame.epoch][frame.sequence] = number
            if number == 6:
                spool.acknowledge(spool.current.id, [(1, 2)])
        await spool.sweep()
        acknowledged.add(old)
        spool.acknowledge(old, [(1, 3)])
        await spool.sweep()
        clock.passes(hours=24 * 7 + 1)
        await spool.sweep()
        await spool.close()
    except Dead:
        if spool is not None:
            spool._appender._thread.shutdown()
            os.close(spool._lock)
    return told, acknowledged


async def judge(state: Path, clock: Clock, told: dict[bytes, dict[int, int]], acknowledged: set[bytes]) -> None:
    async with opened(state, clock, bounds()) as spool:
        there = {epoch.id: epoch for epoch in spool.epochs}
        for number, frames in told.items():
            if number not in there:
                assert number in acknowledged or not frames, "an epoch is gone with what waited in it"
                continue
            epoch = there[number]
            for sequence, content in frames.items():
                states = [sequence in ranges for ranges in (epoch.pending, epoch.taken, epoch.lost)]
                # Of an epoch that was acknowledged the folder may be on its way out.
                assert sum(states) == (1 if any(states) or number not in acknowledged else 0), f"{sequence}: {states}"
                if sequence in epoch.pending:
                    (frame,) = await spool.read(epoch, [sequence])
                    assert ident(frame) == content
            dropped = [loss for loss in epoch.losses() if loss.drop.last in frames]
            assert all(loss.reason == pb.GAP_REASON_DROPPED for loss in dropped), "a drop is called damage"
