"""What a heartbeat says of the spool and of the load on sources, in an operator's words.

The one promise: it says when the spool will be full, what was lost because it was, why a source is asked less often.
"""

from collections.abc import Mapping
from typing import Any, Final

_SPANS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))
_SIZES: Final = ("B", "KiB", "MiB", "GiB", "TiB")


def spool_lines(beat: Mapping[str, Any], now_ms: int) -> list[str]:
    """Return the lines of `nephoscope satellite status`; beat has the fields of Heartbeat, now_ms is UTC."""
    waiting, bound = int(beat["spool_bytes"]), int(beat.get("spool_bound_bytes", 0))
    line = f"{size(waiting)} of {size(bound)}" if bound else size(waiting)
    if seconds := int(beat.get("spool_full_seconds", 0)):
        line += f", full in {span(seconds)} at this rate"
    if oldest := int(beat["oldest_unsent_ms"]):
        line += f"; {beat['spool_frames']} frames wait, oldest unsent {span(max(now_ms - oldest, 0) / 1000)} ago"
    else:
        line += "; nothing waits"
    lines = [f"  spool   {line}"]
    if "disk_free_bytes" in beat:
        kept = size(int(beat["spool_kept_bytes"]))
        free = size(int(beat["disk_free_bytes"]))
        lines.append(f"  disk    {free} free; {kept} are delivered and kept, and give way to what is new")
    if frames := int(beat.get("spool_dropped_frames", 0)):
        samples = beat["spool_dropped_samples"]
        lines.append(f"  dropped {frames} frames with {samples} samples since start: the spool or its disk was full")
    return lines


def load_lines(source: Mapping[str, Any]) -> list[str]:
    """Return the lines of `nephoscope satellite status` on what a source is asked; source has SourceStatus's fields."""
    budget, busy = float(source.get("budget", 0)), float(source.get("busy_per_minute", 0))
    if not budget:
        return []
    line = f"{float(source['calls_per_minute']):.0f} calls"
    if octets := float(source["bytes_per_minute"]):
        line += f", {size(octets)}"
    lines = [f"          a minute {line} and {busy:.1f} s of its time, {100 * busy / 60 / budget:.0f} % of its budget"]
    for plan in source["plans"]:
        if (stretch := int(plan["stretch"])) > 1:
            usual = float(plan["interval_seconds"])
            lines.append(
                f"          {plan['plan']} is asked every {usual * stretch:g} s instead of {usual:g} s: the source "
                f"took {float(plan['busy_seconds']):.1f} s to answer"
            )
    return lines


def span(seconds: float) -> str:
    """Write a span of time in its largest unit."""
    for length, unit in _SPANS:
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def size(value: float) -> str:
    """Write bytes, scaled by powers of 1024."""
    power = 0
    while value >= 1024 and power < len(_SIZES) - 1:
        value, power = value / 1024, power + 1
    return f"{value:.1f} {_SIZES[power]}".replace(".0 ", " ")
