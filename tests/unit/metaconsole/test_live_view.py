"""The live view's files: who is newer, growth, and readers beside a writer."""

import threading
from pathlib import Path

import numpy as np
import pytest

from metaconsole.live_view import FIRST_CAPACITY, LiveView, LiveWriter


def ids(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


def test_the_later_time_wins_then_the_larger_value(tmp_path: Path) -> None:
    writer = LiveWriter(tmp_path)
    writer.publish()
    view = LiveView.open(tmp_path)
    for at, value in ((10, 1.0), (10, 3.0), (10, 2.0), (9, 99.0)):
        writer.update(ids(7), ids(at), np.array([value]), 1000)
    assert [column.tolist() for column in view.latest(ids(7, 8))] == [[10, 0], [3.0, 0.0], [1000, 0]]
    writer.update(ids(7), ids(11), np.array([-1.0]), 2000)
    assert [column.tolist() for column in view.latest(ids(7))] == [[11], [-1.0], [2000]]


def test_a_value_from_ahead_gives_way_once_its_clock_was_set_back(tmp_path: Path) -> None:
    writer = LiveWriter(tmp_path)
    writer.publish()
    view = LiveView.open(tmp_path)
    now = 1_700_000_000_000
    for at, value, clock in (
        (now + 600_000, 1.0, now),  # 10 minutes fast
        (now - 3_600_000, 2.0, now + 1_000),  # a backlog does not take its place
        (now + 2_000, 3.0, now + 2_000),
        (now + 1_500, 4.0, now + 2_500),  # late, and no longer newer
    ):
        writer.update(ids(7), ids(at), np.array([value]), 1000, clock)
    assert [column.tolist() for column in view.latest(ids(7))] == [[now + 2_000], [3.0], [1000]]


def test_a_view_follows_growth_and_ignores_ids_that_nobody_wrote(tmp_path: Path) -> None:
    writer = LiveWriter(tmp_path)
    writer.update(ids(1), ids(5), np.array([0.5]), 10)
    writer.publish()
    view = LiveView.open(tmp_path)
    far = 10 * FIRST_CAPACITY
    assert view.latest(ids(1, far, -3))[0].tolist() == [5, 0, 0]
    before = view.generation
    writer.update(ids(far), ids(6), np.array([1.5]), 10)
    assert view.latest(ids(1, far))[1].tolist() == [0.5, 1.5]
    assert view.generation != before
    assert len(list(tmp_path.glob("live-*.map"))) == 1


def test_an_unpublished_view_is_empty(tmp_path: Path) -> None:
    writer = LiveWriter(tmp_path)
    writer.update(ids(1), ids(5), np.array([0.5]), 10)
    view = LiveView.open(tmp_path)
    assert view.generation == 0
    assert view.latest(ids(1))[0].tolist() == [0]


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "live-x.map").write_bytes(b"x" * 8192)
    (tmp_path / "live.current").write_text("live-x.map")
    with pytest.raises(ValueError, match="not a live view"):
        LiveView.open(tmp_path).latest(ids(1))


def test_time_and_value_read_beside_a_writer_belong_together(tmp_path: Path) -> None:
    writer = LiveWriter(tmp_path)
    writer.publish()
    series = np.arange(1, 3001, dtype=np.int64)
    done = threading.Event()

    def write() -> None:
        for at in range(1, 400):
            writer.update(series, np.full(3000, at, np.int64), np.full(3000, float(at)), at)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    view = LiveView.open(tmp_path)
    looks = 0
    while not done.is_set() or not looks:
        times, values, intervals = view.latest(series)
        looks += 1
        assert (times == values).all()
        assert (times == intervals).all()
    thread.join()
    assert view.latest(series)[0].tolist() == [399] * 3000
