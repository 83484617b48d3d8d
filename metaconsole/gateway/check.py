"""Check frames, without a database: what is good becomes a row of the log, what is not becomes a refusal and a gap.

The one promise: `check_frame` returns for whatever a satellite may send in a frame; a bad frame costs only itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from metaconsole.gateway.check_batch import check_batch
from metaconsole.gateway.check_facts import check_events, check_gaps, check_inventory
from metaconsole.gateway.refused import RefusedError
from metaconsole.gateway.series_map import SeriesMap
from metaconsole.gateway.sources import Sources, named_by
from metaconsole.gateway.window import Window
from metaconsole.store.frames import QUARANTINE_BYTES, CheckedFrame, LogKind, LogRow, Refusal, Sender
from shared.batches import MESSAGE_BYTES
from shared.limits import NAME
from shared.pb import telemetry_pb2, uplink_pb2

SEQUENCES: Final = 2**62  # numbers end before this one
_DROPPED: Final = "the satellite dropped {frames} frames with {samples} samples"
_GONE: Final = (
    "{frames} frames with about {samples} samples were delivered once, are missing in the database, and the satellite "
    "holds them no more"
)


class ProtocolError(Exception):
    """The satellite broke the protocol in a way that no single frame can be blamed for: the session ends."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the checks of a session know: metrics by name, and sources, which grow with definitions."""

    metrics: Mapping[str, int]
    sources: Sources


def check_frame(
    frame: uplink_pb2.Frame,
    size: int,
    sender: Sender,
    epoch: UUID,
    series: SeriesMap,
    known: Known,
    window: Window,
    offset_ms: int | None = None,
) -> CheckedFrame:
    """Return the frame (size in bytes) ready to store; raises ProtocolError where even its number can't be taken.

    offset_ms is how far the clock that stamped it is known to be ahead of ours.
    """
    if not 1 <= frame.sequence < SEQUENCES:
        raise ProtocolError(f"frame sequence {frame.sequence} is outside 1 to 2^62 - 1")
    lane = frame.lane if frame.lane in uplink_pb2.Lane.values() else 0
    place = (sender, epoch, frame.sequence, frame.sequence, lane)
    try:
        return CheckedFrame(*place, _check(frame, size, series, known, window), None, offset_ms)
    except RefusedError as error:
        row = _gap_row(frame, known, window, error)
        content = frame.SerializeToString()[:QUARANTINE_BYTES]
        return CheckedFrame(*place, row, Refusal(error.reason, error.detail, content), offset_ms)


def refuse(frame: CheckedFrame, reason: str, detail: str, now_ms: int) -> CheckedFrame:
    """Return a checked frame as a refused one: the database would not have it."""
    gap = telemetry_pb2.Gap(from_ms=now_ms, to_ms=now_ms, reason=telemetry_pb2.GAP_REASON_REFUSED, detail=detail[:1000])
    row = _row_of_gap(gap, None)
    refusal = Refusal(reason, detail, frame.row.payload[:QUARANTINE_BYTES])
    place = (frame.sender, frame.epoch, frame.first, frame.last, frame.lane)
    return CheckedFrame(*place, row, refusal, frame.clock_offset_ms)


def check_dropped(
    dropped: uplink_pb2.Dropped, sender: Sender, epoch: UUID, window: Window, *, recalled: bool = False
) -> CheckedFrame:
    """Return a dropped range as taken numbers and a gap; raises ProtocolError for numbers that can't be.

    What was recalled had been delivered once.
    """
    first, last = dropped.range.first, dropped.range.last
    if not 1 <= first <= last < SEQUENCES:
        raise ProtocolError(f"dropped range {first} to {last} is not within 1 to 2^62 - 1")
    inside = window.begin <= dropped.from_ms <= dropped.to_ms <= window.end
    gap = telemetry_pb2.Gap(
        from_ms=dropped.from_ms if inside else window.now,
        to_ms=dropped.to_ms if inside else window.now,
        reason=dropped.reason or telemetry_pb2.GAP_REASON_DROPPED,
        detail=(_GONE if recalled else _DROPPED).format(frames=last - first + 1, samples=dropped.samples),
    )
    if gap.reason not in telemetry_pb2.GapReason.values():
        gap.reason = telemetry_pb2.GAP_REASON_DROPPED
    gone = recalled and gap.reason == telemetry_pb2.GAP_REASON_ERROR  # else the satellite knows better why
    declared = "gone" if gone else telemetry_pb2.GapReason.Name(gap.reason).removeprefix("GAP_REASON_").lower()
    return CheckedFrame(sender, epoch, first, last, 0, _row_of_gap(gap, None), declared=declared)


def _check(frame: uplink_pb2.Frame, size: int, series: SeriesMap, known: Known, window: Window) -> LogRow:
    if size > MESSAGE_BYTES:
        raise RefusedError("limit", f"the frame has {size} bytes; at most {MESSAGE_BYTES} are taken")
    match frame.WhichOneof("content"):
        case "batch":
            return check_batch(frame.batch, series, known.metrics, known.sources.ids, window)
        case "inventory":
            row = check_inventory(frame.inventory, known.sources.ids, window)
            known.sources.name(named_by(frame.inventory))
        case "events":
            row = check_events(frame.events, window)
            known.sources.name(named_by(frame.events))
        case "gaps":
            row = check_gaps(frame.gaps, window)
            known.sources.name(named_by(frame.gaps))
        case _:
            raise RefusedError("malformed", "the frame holds nothing that is known here; upgrade the metaconsole")
    return row


def _gap_row(frame: uplink_pb2.Frame, known: Known, window: Window, error: RefusedError) -> LogRow:
    """Return the row that says what is missing because the frame was refused."""
    content = getattr(frame, frame.WhichOneof("content") or "batch")
    source = getattr(content, "source", "")
    source = source if len(source) <= NAME and "\0" not in source and known.sources.has_room(source) else ""
    plan = frame.batch.plan if len(frame.batch.plan) <= NAME and "\0" not in frame.batch.plan else ""
    skew = error.reason == "skew"
    # Of a frame that is refused nothing was checked but its bytes: what it says of itself is what there is.
    samples = sum(block.values.count for block in frame.batch.blocks)
    detail = error.detail.replace("\0", " ")[:900] + (f"; {samples} samples" if samples else "")
    gap = telemetry_pb2.Gap(
        source=source,
        plan=plan,
        from_ms=max(window.begin, window.now - frame.batch.interval_ms),
        to_ms=window.now,
        reason=telemetry_pb2.GAP_REASON_SKEW if skew else telemetry_pb2.GAP_REASON_REFUSED,
        detail=detail,
    )
    return _row_of_gap(gap, known.sources.ids.get(source))


def _row_of_gap(gap: telemetry_pb2.Gap, source_id: int | None) -> LogRow:
    payload = telemetry_pb2.GapList(gaps=[gap]).SerializeToString()
    return LogRow(LogKind.GAPS, gap.from_ms, gap.to_ms, payload, source_id=source_id, plan=gap.plan)
