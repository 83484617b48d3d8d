"""What a satellite counts of its own production: exact over kill -9, damage, restarts and removed segments."""

import asyncio
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from fixtures.spools import UnsyncedFiles, events_frame
from hypothesis import given
from hypothesis import strategies as st

from satellite.bounds import Bounds
from satellite.epoch_writer import EpochWriter
from satellite.recalls import recall
from satellite.spool import Spool
from satellite.tallies import DAYS, MOST, Tallies, Tally
from shared.columns import encode
from shared.pb import telemetry_pb2 as pb
from shared.pb import uplink_pb2
from shared.tallies import BLOCK

DAY_MS = 86_400_000
EPOCH = b"e" * 16
Ranges = list[tuple[int, int]]


def batch_frame(samples: int) -> uplink_pb2.Frame:
    """Return a frame of so many samples."""
    ids = encode(np.arange(1, samples + 1, dtype=np.int64))
    block = pb.Block(metric="m", scope=pb.TIME_SCOPE_BATCH, series=ids, values=encode(np.zeros(samples)))
    times = encode(np.array([1], np.int64))
    return uplink_pb2.Frame(batch=pb.Batch(source="s", plan="p", interval_ms=1, times=times, blocks=[block]))


def spool_of(folder: Path, now_ms: int = 1_000) -> Spool:
    return Spool(folder, lambda: now_ms, UnsyncedFiles(), Bounds(keep_hours=0, ballast_bytes=0))


def counted(spool: Spool) -> dict[bytes, tuple[int, int, int, int]]:
    """Return first, last, samples and uncounted of each epoch, which must be within one block."""
    return {epoch: (t.first, t.last, t.samples, t.uncounted) for (epoch, _), t in spool.tallies.rows().items()}


def test_whatever_is_killed_and_removed_every_frame_stays_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EpochWriter, "SEGMENT_BYTES", 200)

    async def scenario() -> None:
        expected: dict[bytes, tuple[int, int, int, int]] = {}
        folder = tmp_path / "0"
        for life in range(1, 6):
            spool = spool_of(folder)
            assert counted(spool) == expected
            for samples in range(1, 6 + life):
                await spool.append(batch_frame(samples))
            expected[spool.current.id] = (1, 5 + life, (5 + life) * (6 + life) // 2, 0)
            assert counted(spool) == expected
            for epoch in spool.epochs:
                spool.acknowledge(epoch.id, [(1, 3 + life)])
            if life % 2:
                await spool.sweep()
            # Killed: what is on the disk at this moment is what the next one finds.
            copy = tmp_path / str(life)
            shutil.copytree(folder, copy)
            await spool.close()
            folder = copy

    asyncio.run(scenario())


def test_what_was_damaged_before_it_was_counted_is_counted_as_such(tmp_path: Path) -> None:
    async def scenario() -> None:
        spool = spool_of(tmp_path / "a")
        for samples in (3, 4, 5):
            await spool.append(batch_frame(samples))
        folder, first = spool.current.folder, spool.current.segments[0]
        shutil.copytree(tmp_path / "a", tmp_path / "b")
        path = tmp_path / "b" / "spool" / folder.name / first.name
        data = bytearray(path.read_bytes())
        data[first.offsets[1] + 40] ^= 1
        path.write_bytes(data)
        await spool.close()
        again = spool_of(tmp_path / "b")
        assert counted(again)[spool.current.id] == (1, 3, 8, 1)
        await again.close()

    asyncio.run(scenario())


def test_a_damaged_file_loses_what_has_left_the_spool_and_nothing_else(tmp_path: Path) -> None:
    async def scenario() -> None:
        spool = spool_of(tmp_path)
        await spool.append(batch_frame(7))
        await spool.close()
        (tmp_path / "produced").write_bytes(b"garbage")
        again = spool_of(tmp_path)
        assert counted(again) == {spool.current.id: (1, 1, 7, 0)}
        await again.close()

    asyncio.run(scenario())


def test_an_epoch_of_before_the_accounting_that_has_lost_its_beginning_is_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EpochWriter, "SEGMENT_BYTES", 200)

    async def scenario() -> None:
        spool = spool_of(tmp_path)
        for _ in range(8):
            await spool.append(batch_frame(1))
        spool.acknowledge(spool.current.id, [(1, 4)])
        await spool.close()
        (tmp_path / "produced").unlink()
        again = spool_of(tmp_path)
        assert again.epochs[0].segments[0].first > 1
        assert counted(again) == {}
        await again.close()

    asyncio.run(scenario())


def test_a_renewed_epoch_counts_what_comes_under_its_new_number(tmp_path: Path) -> None:
    async def scenario() -> None:
        spool = spool_of(tmp_path)
        await spool.append(batch_frame(2))
        await spool.append(batch_frame(2))
        await spool.renew(spool.current)
        await spool.append(batch_frame(5))
        assert counted(spool) == {spool.current.id: (3, 3, 5, 0)}
        await spool.close()
        again = spool_of(tmp_path)
        assert counted(again) == {spool.current.id: (3, 3, 5, 0)}
        await again.close()

    asyncio.run(scenario())


def test_blocks_bounds_and_ages(tmp_path: Path) -> None:
    clock = [DAY_MS]
    tallies = Tallies(tmp_path / "produced", UnsyncedFiles(), lambda: clock[0])
    tallies.begin(EPOCH)
    for sequence in (BLOCK - 1, BLOCK, 3 * BLOCK):  # what lies between was lost uncounted
        tallies.add(EPOCH, sequence, clock[0], 10)
    assert [(t.first, t.last, t.samples, t.uncounted) for t in tallies.rows().values()] == [
        (1, BLOCK - 1, 10, BLOCK - 2),
        (BLOCK, 2 * BLOCK - 1, 10, BLOCK - 1),
        (2 * BLOCK, 3 * BLOCK - 1, 0, BLOCK),
        (3 * BLOCK, 3 * BLOCK, 10, 0),
    ]
    assert tallies.share(EPOCH, 2, BLOCK) == Tally(2, BLOCK, 10 * (BLOCK - 2) // (BLOCK - 1) + 0, 0, DAY_MS, DAY_MS)
    clock[0] += (DAYS + 1) * DAY_MS
    tallies.begin(b"f" * 16)
    content, through = tallies.content()
    assert through == {b"f" * 16: 0}
    for number in range(MOST + 10):
        tallies.begin(number.to_bytes(16, "little"))
    content, through = tallies.content()
    assert len(through) == MOST
    assert len(content) < 256 * 1024, "a full disk has no room for it"
    tallies.store(content)
    assert Tallies(tmp_path / "produced", UnsyncedFiles(), lambda: clock[0]).rows() == tallies.rows()


sequences = st.integers(1, 12)
ranges = st.lists(st.tuples(sequences, sequences).map(lambda pair: (min(pair), max(pair))), max_size=4)


@given(acknowledged=ranges, wanted=ranges)
def test_what_is_recalled_waits_or_is_gone(
    tmp_path_factory: pytest.TempPathFactory, acknowledged: Ranges, wanted: Ranges
) -> None:
    folder = tmp_path_factory.mktemp("recall")

    async def scenario() -> None:
        spool = spool_of(folder)
        for number in range(8):
            await spool.append(events_frame(number))
        epoch = spool.current
        spool.acknowledge(epoch.id, acknowledged)
        waited, taken = numbers(epoch.pending), numbers(epoch.taken)
        frames, gone = recall(spool, epoch.id, wanted)
        asked = numbers(wanted)
        assert numbers(epoch.pending) == waited | (asked & taken)
        assert numbers(epoch.taken) == taken - asked
        assert frames == len(asked & taken)
        assert numbers(gone) == {n for n in asked if n > 8}, "what was never here is gone"
        await spool.close()

    asyncio.run(scenario())


def numbers(parts: Iterable[tuple[int, int]]) -> set[int]:
    return {n for first, last in parts for n in range(first, last + 1)}
