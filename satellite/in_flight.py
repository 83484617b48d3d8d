"""The frames of a session that are sent and not answered, and how many more may be.

The one promise: no frame is sent without credit; and a metaconsole that answers nothing for a minute, while frames are
under way, is left.
"""

from collections.abc import Sequence
from typing import Final

from satellite.backfill import Backfill
from satellite.clock import Clock
from satellite.stream import SessionEndedError
from shared.pb import uplink_pb2

_ACK_SECONDS: Final = 60.0  # without any answer while frames are under way end the session


class InFlight:
    """Credit, what it was spent on, and what of that counts as backfill."""

    def __init__(self, backfill: Backfill, clock: Clock) -> None:
        self.credit = 0  # messages that may be sent
        self._backfill, self._clock = backfill, clock
        # (epoch, sequence) -> monotonic seconds, and the bytes that count as backfill.
        self._sent: dict[tuple[bytes, int], tuple[float, int]] = {}
        self._answered = 0.0  # monotonic seconds of the last answer, or of the first frame after all were answered

    def __len__(self) -> int:
        return len(self._sent)

    def room(self) -> int:
        """Return how many bytes of the backlog may be sent now; one frame may exceed it."""
        return self._backfill.room(self._clock.monotonic(), self._clock.now_ms())

    def idle(self, room: int) -> float | None:
        """Note that with so much room nothing was found to send; return after how many seconds there may be more.

        None where only an answer, or a frame that is new, makes a difference.
        """
        if not room:
            return self._backfill.wait_seconds(self._clock.now_ms())
        if self.credit > 0:
            self._backfill.drained()
        return None

    def sent(self, frame: uplink_pb2.Frame) -> None:
        """Note a frame that goes out."""
        size = frame.ByteSize() if frame.lane == uplink_pb2.LANE_BACKFILL else 0
        now = self._clock.monotonic()
        self.credit -= 1
        self._answered = self._answered if self._sent else now
        self._sent[frame.epoch, frame.sequence] = now, size
        self._backfill.sent(size)

    def acknowledged(self, epoch: bytes, taken: Sequence[tuple[int, int]]) -> None:
        """Note the answer to frames of an epoch."""
        now = self._answered = self._clock.monotonic()
        for key in [key for key in self._sent if key[0] == epoch and any(a <= key[1] <= b for a, b in taken)]:
            began, size = self._sent.pop(key)
            if size:
                self._backfill.acknowledged(size, now, now - began)

    def check(self) -> None:
        """Raise SessionEndedError where an answer is overdue."""
        if self._sent and self._clock.monotonic() - self._answered > _ACK_SECONDS:
            raise SessionEndedError(f"the metaconsole answered no frame for {_ACK_SECONDS:g} s")
