"""Samples of series that the quota refuses leave their batch; all others of it stay.

The one promise: what stays has the instants, values and start times that were sent, and what leaves is counted.
"""

from collections.abc import Sequence

import numpy as np

from metaconsole.gateway.refused import RefusedError
from metaconsole.gateway.series_map import Layout, Mask
from shared.batches import samples_of
from shared.columns import decode_i64, decode_values, encode
from shared.pb import telemetry_pb2 as pb


def leaves_some(layouts: Sequence[Layout]) -> bool:
    """Return whether something has to leave a batch; raises RefusedError where all of it would."""
    if all(layout.kept is None for layout in layouts):
        return False
    if not any(layout.column for layout in layouts):
        raise RefusedError("quota", "all its series are refused: the site has as many series as it may have")
    return True


def leave_out(
    blocks: Sequence[pb.Block], layouts: Sequence[Layout], instants: int
) -> tuple[list[pb.Block], list[Layout], int]:
    """Return the blocks that stay, without what leaves them, their layouts, and how many samples left.

    The blocks are checked, and changed in place; their series columns are the caller's to replace.
    """
    staying = [(block, layout) for block, layout in zip(blocks, layouts, strict=True) if layout.column]
    before = sum(samples_of(block, instants) for block in blocks)
    after = 0
    for block, layout in staying:
        after += samples_of(block, instants) if layout.kept is None else _keep(block, layout.kept, instants)
    return [block for block, _ in staying], [layout for _, layout in staying], before - after


def _keep(block: pb.Block, kept: Mask, instants: int) -> int:
    """Keep the samples of some series of a block, and return how many those are."""
    each = instants if block.scope == pb.TIME_SCOPE_BATCH else 1
    of_samples = np.repeat(kept, each)
    values = decode_values(block.values, len(of_samples))[of_samples]
    block.values.CopyFrom(encode(values, in_sequence=each > 1))
    if block.scope != pb.TIME_SCOPE_BATCH:
        block.times.CopyFrom(encode(decode_i64(block.times, len(kept))[kept]))
    if block.HasField("starts"):
        block.starts.CopyFrom(encode(decode_i64(block.starts, len(kept))[kept], in_sequence=False))
    return len(values)
