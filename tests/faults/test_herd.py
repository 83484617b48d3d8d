"""Two thousand satellites come back at once, as after an outage of the centre: one gateway process serves them all."""

from pathlib import Path
from typing import Final

import numpy as np
from bench.sessions import Load, hold
from fixtures.stack import stack

SESSIONS: Final = 2_000
AT_ONCE: Final = 1e6  # a second: nobody waits for anybody
KIB: Final = 512  # of a session at its highest, what is under way included


def test_all_are_served(tmp_path: Path) -> None:
    with stack(tmp_path) as made:
        # `hold` waits a minute for the last welcome.
        held = hold(made, Load(SESSIONS, 2, 5.0, 2, AT_ONCE), 0, 6)
    assert (held.welcomed, held.ended) == (SESSIONS, 0), held.complaints
    assert len(np.unique(held.batches[:, 0])) == SESSIONS, "somebody sent nothing"
    assert np.isfinite(held.batches[:, 2]).all(), "a batch was not acknowledged"
    assert held.kib_per_session <= KIB
