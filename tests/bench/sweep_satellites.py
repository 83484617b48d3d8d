"""Scale: what one gateway takes from 10, 100 and 1,000 satellites that all send as fast as they are answered.

The satellites are the light sessions of the group `gateway`, so what is swept is the metaconsole and not their spools.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from fixtures.stack import stack

from bench import sessions
from bench.findings import Findings
from bench.plan import Plan

SATELLITES: Final = (10, 100, 1_000)
COLUMNS: Final = (
    "satellites",
    "samples/s",
    "batches/s",
    "ack p50",
    "ack p99",
    "CPU-s per million: gateway, PostgreSQL",
)


def run(plan: Plan, found: Findings, satellites: Sequence[int]) -> Iterator[list[str]]:
    """Measure each number of satellites and yield its row."""
    for count in satellites:
        load = sessions.Load(count, plan.session_guests, 0, plan.session_processes)
        with tempfile.TemporaryDirectory(prefix="nephoscope-bench-") as scratch, stack(Path(scratch)) as made:
            held = sessions.hold(made, load, plan.sweep_warm_up, plan.sweep_seconds)
        yield _row(count, held)


def _row(count: int, held: sessions.Held) -> list[str]:
    span = held.span
    cpu = [f"{1e6 * span.cpu_seconds[name] / span.samples:.3f}" for name in ("gateway", "postgres")]
    cells = [f"{count:,}", f"{span.rate / 1e6:.2f} M", f"{len(held.batches) / span.seconds:,.0f}"]
    return [*cells, f"{held.latency_ms(50):,.0f} ms", f"{held.latency_ms(99):,.0f} ms", ", ".join(cpu)]
