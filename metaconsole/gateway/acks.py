"""Acknowledgements of a session: settled frames as ranges, one message per epoch."""

from collections.abc import Iterable, Iterator
from uuid import UUID

from metaconsole.store.frames import CheckedFrame, Outcome
from shared.pb import uplink_pb2


def acks(settled: Iterable[tuple[CheckedFrame, Outcome]]) -> Iterator[uplink_pb2.Ack]:
    """Yield one Ack for each epoch among settled frames; none of them is fenced."""
    by_epoch: dict[UUID, list[tuple[CheckedFrame, Outcome]]] = {}
    for frame, outcome in settled:
        by_epoch.setdefault(frame.epoch, []).append((frame, outcome))
    for epoch, done in by_epoch.items():
        replayed = [(frame.first, frame.last) for frame, outcome in done if outcome is Outcome.REPLAYED]
        refused = [
            uplink_pb2.Refusal(sequence=frame.first, reason=frame.refusal.reason, detail=frame.refusal.detail)
            for frame, _ in done
            if frame.refusal is not None
        ]
        yield uplink_pb2.Ack(
            epoch=epoch.bytes,
            taken=_ranges((frame.first, frame.last) for frame, _ in done),
            refused=refused,
            replayed=_ranges(replayed),
        )


def _ranges(parts: Iterable[tuple[int, int]]) -> list[uplink_pb2.SequenceRange]:
    """Coalesce ranges that touch or overlap."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(parts):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return [uplink_pb2.SequenceRange(first=first, last=last) for first, last in joined]
