"""Where events go on after a run that was killed: the file, the frames since, and whichever of the two is newer."""

import asyncio
from pathlib import Path

import pytest

from satellite import encoding
from satellite.positions import FILE, Positions, positions_json
from satellite.spool import Spool
from shared.model import Event
from shared.pb import uplink_pb2


def frame(number: int, source: str = "s") -> uplink_pb2.Frame:
    event = Event(f"e{number}", 1, "host.up", "it is there", position=f"p{number}")
    return encoding.events_frame(source, [event, Event("plain", 1, "host.up", "it has no position")])


def noted(folder: Path, *frames: tuple[int, uplink_pb2.Frame]) -> dict[str, str]:
    positions = Positions(folder / FILE)
    assert list(positions.noting(frames)) == [frame for _, frame in frames]
    return positions.found


def test_the_newest_frame_counts_and_what_has_no_position_does_not(tmp_path: Path) -> None:
    clock = encoding.events_frame("s", [Event("clock.set/1", 1, "clock.set", "the satellite's own")])
    assert noted(tmp_path, (1, frame(1)), (1, frame(7, "t")), (2, frame(2)), (2, clock)) == {"s": "p2", "t": "p7"}


def test_frames_of_before_the_run_that_wrote_the_file_do_not_count(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(positions_json(3, {"s": "p5", "gone": "p1"}))
    assert noted(tmp_path, (2, frame(2))) == {"s": "p5", "gone": "p1"}
    assert noted(tmp_path, (2, frame(2)), (3, frame(6))) == {"s": "p6", "gone": "p1"}
    assert noted(tmp_path, (3, frame(6)), (4, frame(8))) == {"s": "p8", "gone": "p1"}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"run": 1}', b'{"run": "x", "positions": {}}'])
def test_an_unreadable_file_is_left_out_with_a_warning(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert noted(tmp_path, (1, frame(1))) == {"s": "p1"}
    assert "can't be read" in caplog.text


def test_the_spool_tells_the_run_of_what_earlier_runs_left(tmp_path: Path) -> None:
    async def run(number: int) -> int:
        spool = Spool(tmp_path, lambda: 1)
        await spool.append(frame(number))
        await spool.close()
        return spool.run

    runs = [asyncio.run(run(number)) for number in range(2)]
    spool = Spool(tmp_path, lambda: 1)
    assert [(run, frame.events.position) for run, frame in spool.previous_frames()] == [
        (runs[0], "p0"),
        (runs[1], "p1"),
    ]
    assert runs[0] < runs[1] < spool.run
