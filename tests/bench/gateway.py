"""The group `gateway`: sessions that one gateway process holds, a batch each every 10 s, with every check and durable.

A session counts as held when each batch that it sent in the measured span was acknowledged before the end of the run.
"""

import tempfile
from pathlib import Path
from typing import Final

import numpy as np
from fixtures.stack import stack

from bench import sessions
from bench.findings import Findings
from bench.plan import Plan

# Measured on 2026-11-25 by a histogram of malloc over 200 and 700 sessions, and by runs of this group.
_PROFILE: Final = (
    (
        "profile of a session's memory: gRPC's read slice 64 KiB, TLS buffers 34 + 16 KiB, three fixed blocks of gRPC "
        "16 KiB, Python's objects about 20 KiB; an empty servicer under the same traffic comes to 133 to 148 KiB"
    ),
    (
        "alternative built: gRPC reads in chunks of 12,000 bytes: 142 KiB after this group's 70 s, 183 after longer "
        "traffic, where without it is 174: it comes later, not less"
    ),
    "alternative built: malloc's mmap threshold at 64 KiB: 166 KiB after longer traffic, not 174: within the noise",
    "what changed nothing: one malloc arena, gRPC's largest read chunk, sizes of the header tables, trimming",
)


def run(plan: Plan) -> Findings:
    """Measure and return what was found."""
    found = Findings()
    load = sessions.Load(plan.sessions, plan.session_guests, plan.session_interval, plan.session_processes)
    for _ in range(plan.runs):
        with tempfile.TemporaryDirectory(prefix="nephoscope-bench-") as scratch, stack(Path(scratch)) as made:
            held = sessions.hold(made, load, plan.warm_up, plan.seconds)
        found.found(
            {
                "gateway.sessions": faithful(held),
                "gateway.ack_p99_ms": held.latency_ms(99),
                "gateway.kib_per_session": held.kib_per_session,
            }
        )
        describe(held, load, found)
    for line in _PROFILE:
        found.say(line)
    return found


def faithful(held: sessions.Held) -> int:
    """Return how many sessions had an answer to all that they sent, and sent something."""
    answered = np.isfinite(held.batches[:, 2])
    senders = np.unique(held.batches[:, 0])
    return len(senders) - len(np.unique(held.batches[~answered, 0]))


def describe(held: sessions.Held, load: sessions.Load, found: Findings) -> None:
    """Say what the keys do not."""
    span, mib = held.span, 1024 * 1024
    found.say(
        f"{held.welcomed} of {load.sessions} sessions opened in {held.opening_seconds:.0f} s, {held.ended} ended by"
        f" themselves; {span.rate / 1e6:.3f} M samples/s in {len(held.batches)} batches, acknowledged after"
        f" {held.latency_ms(50):.0f} ms (median), {held.latency_ms(99):.0f} ms (p99), {held.latency_ms(100):.0f} ms"
    )
    if held.complaints:
        found.say(f"the sessions said: {held.complaints}")
    cores = ", ".join(f"{name} {used / span.seconds:.2f}" for name, used in span.cpu_seconds.items())
    found.say(
        f"cores used: {cores} (of {load.processes} processes with sessions the first);"
        f" the gateway holds {held.held_bytes / mib:.0f} MiB, {held.idle_bytes / mib:.0f} MiB before the first session"
    )
