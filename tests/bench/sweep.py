"""Scale: what one gateway takes from 10, 100 and 1,000 satellites that all send as fast as they are answered.

The satellites are the light sessions of the group `gateway`, so what is swept is the metaconsole and not their spools.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from fixtures.stack import stack

from bench import sessions
from bench.plan import Plan

SATELLITES: Final = (10, 100, 1_000)


def run(plan: Plan, satellites: Sequence[int] = SATELLITES) -> str:
    """Measure each number of satellites and return the table."""
    return "\n".join(_lines(plan, satellites))


def _lines(plan: Plan, satellites: Sequence[int]) -> Iterator[str]:
    yield "| satellites | samples/s | batches/s | ack p50 | ack p99 | CPU-s per million: gateway, PostgreSQL |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for count in satellites:
        load = sessions.Load(count, plan.session_guests, 0, plan.session_processes)
        with tempfile.TemporaryDirectory(prefix="nephoscope-bench-") as scratch, stack(Path(scratch)) as made:
            held = sessions.hold(made, load, plan.warm_up, plan.seconds)
        line = _line(count, held)
        print(line, flush=True)
        yield line


def _line(count: int, held: sessions.Held) -> str:
    span = held.span
    cpu = [f"{1e6 * span.cpu_seconds[name] / span.samples:.3f}" for name in ("gateway", "postgres")]
    cells = [f"{count:,}", f"{span.rate / 1e6:.2f} M", f"{len(held.batches) / span.seconds:,.0f}"]
    cells += [f"{held.latency_ms(50):,.0f} ms", f"{held.latency_ms(99):,.0f} ms", ", ".join(cpu)]
    return f"| {' | '.join(cells)} |"
