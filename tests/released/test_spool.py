"""A spool that any release left behind is read by today's satellite: every frame, with the definitions it needs."""

import asyncio
import shutil
from pathlib import Path

import pytest

from released.folders import RELEASES
from satellite.spool import Spool
from shared.batches import decode_block, decode_times


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_a_spool_of_a_release_is_read(release: Path, tmp_path: Path) -> None:
    shutil.copytree(release / "spool", tmp_path / "state")
    series, wanted = asyncio.run(read(tmp_path / "state"))
    assert len(wanted) > 0
    assert wanted <= series, "a frame uses series that no definition names"


async def read(state: Path) -> tuple[set[int], set[int]]:
    """Return the series ids that are defined, and those that the batches use; each value is decoded."""
    spool = Spool(state, lambda: 1)
    defined: set[int] = set()
    used: set[int] = set()
    try:
        (old,) = spool.epochs[:-1]
        assert not list(old.lost)
        assert old.definitions.complete
        defined |= {definition.id for part in old.definitions.read(0) for definition in part.definitions}
        pending = [sequence for first, last in old.pending for sequence in range(first, last + 1)]
        frames = await spool.read(old, pending)
        assert [frame.sequence for frame in frames] == list(range(1, len(pending) + 1))
        for frame in frames:
            if frame.HasField("batch"):
                times = decode_times(frame.batch)
                for block in frame.batch.blocks:
                    used |= set(decode_block(block, times).series.tolist())
    finally:
        await spool.close()
    return defined, used
