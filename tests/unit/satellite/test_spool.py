"""The spool keeps what append returned for, through crashes at any byte, damage and full disks."""

import asyncio
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fixtures.spools import RecordingFiles, events_frame, ident, offered_idents

from satellite import spool as spool_module
from satellite.bounds import Bounds
from satellite.epoch_writer import EpochWriter
from satellite.records import FILE_MAGIC, HEAD_BYTES, scan
from satellite.spool import FRAME_BYTES, Spool
from satellite.spool_errors import SpoolBrokenError, SpoolError, SpoolFullError
from shared.pb import telemetry_pb2, uplink_pb2

KEEPS = Bounds()
KEEPS_NOTHING = Bounds(keep_hours=0)


@contextmanager
def opened(state: Path, files: RecordingFiles | None = None, bounds: Bounds = KEEPS) -> Iterator[Spool]:
    spool = Spool(state, lambda: 1_000, files, bounds)
    try:
        yield spool
    finally:
        asyncio.run(spool.close())


def append(spool: Spool, *idents: int) -> list[int]:
    async def all_at_once() -> list[int]:
        return await asyncio.gather(*(spool.append(events_frame(number)) for number in idents))

    return asyncio.run(all_at_once())


def test_an_appended_frame_survives_under_its_epoch_and_sequence(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        assert append(spool, 7, 8, 9) == [1, 2, 3]
        epoch = spool.current.id
    with opened(tmp_path) as again:
        assert again.epochs[0].id == epoch
        assert again.current.id != epoch
        frames = asyncio.run(again.read(again.epochs[0], [1, 2, 3]))
        assert [(frame.epoch, frame.sequence, ident(frame)) for frame in frames] == [
            (epoch, 1, 7),
            (epoch, 2, 8),
            (epoch, 3, 9),
        ]


def test_appends_that_wait_together_share_one_fdatasync_and_none_is_offered_before_it(tmp_path: Path) -> None:
    files = RecordingFiles()
    with opened(tmp_path, files) as spool:
        seen: list[int] = []
        files.on_datasync = lambda: seen.append(len(spool.current.pending))
        append(spool, 1, 2, 3, 4)
        assert files.operations.count("datasync") == 1
        assert seen == [0]
        assert len(spool.current.pending) == 4
        assert files.operations.index("write") < files.operations.index("datasync")


def test_definitions_are_on_the_disk_before_define_returns(tmp_path: Path) -> None:
    files = RecordingFiles()
    with opened(tmp_path, files) as spool:
        asyncio.run(spool.define([telemetry_pb2.SeriesDefinition(id=1, metric="a")]))
        assert files.operations[-2:] == ["datasync", "sync_folder"]
        asyncio.run(spool.define([telemetry_pb2.SeriesDefinition(id=n, metric="b") for n in range(2, 2500)]))
        append(spool, 1)
    with opened(tmp_path) as again:
        definitions = again.epochs[0].definitions
        assert definitions.through == 2499
        found = [item.id for message in definitions.read(1000) for item in message.definitions]
        assert found == list(range(1001, 2500))


def test_a_segment_goes_only_when_all_its_frames_are_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EpochWriter, "SEGMENT_BYTES", 1)
    with opened(tmp_path, bounds=KEEPS_NOTHING) as spool:
        for number in range(5):
            append(spool, number)
        spool.acknowledge(spool.current.id, [(2, 2), (4, 5)])
        asyncio.run(spool.sweep())
        assert len(list(tmp_path.rglob("*.segment"))) == 4  # the second is gone; the last two stay with this run
        epoch = spool.current.id
    with opened(tmp_path, bounds=KEEPS_NOTHING) as again:
        assert list(again.epochs[0].pending) == [(1, 1), (3, 3)]
        assert not again.epochs[0].lost
        again.acknowledge(epoch, [(1, 2**64 - 1)])
        asyncio.run(again.sweep())
        assert [item.id for item in again.epochs] == [again.current.id]
        assert len(list(tmp_path.rglob("*.segment"))) == 0


def test_a_torn_tail_is_cut_and_what_is_before_it_stays(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        append(spool, 1, 2)
    path = next(tmp_path.rglob("*.segment"))
    path.write_bytes(path.read_bytes()[:-3])
    with opened(tmp_path) as again:
        assert list(again.epochs[0].pending) == [(1, 1)]
        assert not again.epochs[0].lost
        assert len(path.read_bytes()) == scan(path.read_bytes()).end


def test_damage_in_the_middle_loses_only_what_it_hit_and_says_so(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        append(spool, 1, 2, 3)
    path = next(tmp_path.rglob("*.segment"))
    data = bytearray(path.read_bytes())
    second = scan(bytes(data)).records[1]
    data[second.offset + HEAD_BYTES] ^= 0xFF
    path.write_bytes(data)
    with opened(tmp_path) as again:
        epoch = again.epochs[0]
        assert list(epoch.pending) == [(1, 1), (3, 3)]
        assert list(epoch.lost) == [(2, 2)]
        assert list(epoch.offered()) == [(1, 3)]
        assert epoch.span(2, 2) == (1_000, 1_000)
        assert len(list((tmp_path / "quarantine").iterdir())) == 1
        again.acknowledge(epoch.id, [(2, 2)])
        assert not epoch.lost


def test_a_frame_damaged_while_running_is_lost_not_sent(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        append(spool, 1, 2)
        path = next(tmp_path.rglob("*.segment"))
        data = bytearray(path.read_bytes())
        data[len(FILE_MAGIC) + HEAD_BYTES] ^= 1
        path.write_bytes(data)
        # The first session takes them from memory, the next one from the disk.
        assert [ident(frame) for frame in asyncio.run(spool.read(spool.current, [1, 2]))] == [1, 2]
        assert [ident(frame) for frame in asyncio.run(spool.read(spool.current, [1, 2]))] == [2]
        assert list(spool.current.lost) == [(1, 1)]


def test_frames_that_find_no_room_in_memory_are_read_from_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "_FRESH_BYTES", 3 * len(events_frame(1).SerializeToString()))
    with opened(tmp_path) as spool:
        append(spool, *range(1, 10))
        assert list(spool._fresh) == [7, 8, 9]
        found = asyncio.run(spool.read(spool.current, list(range(1, 9))))
        assert [(ident(item), item.sequence) for item in found] == [(n, n) for n in range(1, 9)]
        assert list(spool._fresh) == [9]
        assert spool._fresh_bytes == len(spool._fresh[9])


def test_damaged_definitions_turn_waiting_frames_into_a_declared_loss(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        for first in (1, 2):
            asyncio.run(spool.define([telemetry_pb2.SeriesDefinition(id=first, metric="a")]))
        append(spool, 1)
    path = next(tmp_path.rglob("definitions"))
    data = bytearray(path.read_bytes())
    data[len(FILE_MAGIC) + HEAD_BYTES] ^= 1
    path.write_bytes(data)
    with opened(tmp_path) as again:
        assert not again.epochs[0].pending
        assert list(again.epochs[0].lost) == [(1, 1)]


def test_a_damaged_list_of_what_was_taken_only_costs_a_second_offer(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        append(spool, 1, 2)
        spool.acknowledge(spool.current.id, [(1, 1)])
    next(tmp_path.rglob("taken")).write_bytes(b"rubbish")
    with opened(tmp_path) as again:
        assert list(again.epochs[0].pending) == [(1, 2)]


def test_a_second_process_on_the_state_folder_is_told_so(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(SpoolError, match=f"process {os.getpid()}"):
        Spool(tmp_path, lambda: 0)


def test_a_full_disk_loses_the_append_and_nothing_else(tmp_path: Path) -> None:
    files = RecordingFiles()
    with opened(tmp_path, files) as spool:
        append(spool, 1)
        files.fail_write_after = 5
        with pytest.raises(SpoolFullError, match="free some space"):
            append(spool, 2)
        files.fail_write_after = None
        assert append(spool, 3) == [2]
    with opened(tmp_path) as again:
        assert offered_idents(again) == [1, 3]


def test_a_failing_fdatasync_stops_the_spool_for_good(tmp_path: Path) -> None:
    files = RecordingFiles()
    with opened(tmp_path, files) as spool:
        files.fail_datasync = OSError(errno.EIO, "Input/output error")
        with pytest.raises(SpoolBrokenError):
            append(spool, 1)
        files.fail_datasync = None
        with pytest.raises(SpoolBrokenError):
            append(spool, 2)
        assert not spool.current.pending


@pytest.mark.parametrize(
    ("number", "sentence"), [(errno.EIO, "replace the disk"), (errno.EROFS, "mount it writable again")]
)
def test_a_disk_that_can_not_be_written_stops_the_spool_with_a_sentence(
    tmp_path: Path, number: int, sentence: str
) -> None:
    class Failing(RecordingFiles):
        def write(self, descriptor: int, data: bytes) -> None:
            raise OSError(number, os.strerror(number), f"{descriptor}, {len(data)} bytes")

    with opened(tmp_path, Failing()) as spool:
        with pytest.raises(SpoolBrokenError, match=sentence):
            append(spool, 1)
        with pytest.raises(SpoolBrokenError, match=sentence):
            append(spool, 2)


def test_what_is_no_lack_of_room_costs_its_frame_and_nothing_is_dropped_for_it(tmp_path: Path) -> None:
    class Failing(RecordingFiles):
        def create(self, path: Path) -> int:
            if len(list(path.parent.glob("*.segment"))) == 1:
                raise OSError(errno.EMFILE, "Too many open files", str(path))
            return super().create(path)

    with opened(tmp_path) as spool:
        append(spool, 1)
    with opened(tmp_path, Failing()) as spool:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(EpochWriter, "SEGMENT_BYTES", 1)
            append(spool, 2)
            with pytest.raises(SpoolFullError, match="Too many open files"):
                append(spool, 3)
        assert offered_idents(spool) == [1, 2]
        assert spool.dropped == (0, 0)


def test_a_renewed_epoch_keeps_frames_and_definitions_under_another_number(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        asyncio.run(spool.define([telemetry_pb2.SeriesDefinition(id=1, metric="a")]))
        append(spool, 1)
        before = spool.current.id
        asyncio.run(spool.renew(spool.current))
        assert spool.current.id != before
        assert append(spool, 2) == [2]
        frames = asyncio.run(spool.read(spool.current, [1, 2]))
        assert [frame.epoch for frame in frames] == [spool.current.id] * 2
    with opened(tmp_path) as again:
        assert again.epochs[0].id != before
        assert again.epochs[0].definitions.through == 1
        assert offered_idents(again) == [1, 2]


def test_after_a_restore_of_the_metaconsole_all_frames_here_wait_again(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        append(spool, 1, 2, 3)
        spool.acknowledge(spool.current.id, [(1, 2)])
        assert list(spool.current.pending) == [(3, 3)]
        spool.forget_acknowledged()
        assert list(spool.current.pending) == [(1, 3)]


def test_a_frame_that_no_message_could_carry_is_refused(tmp_path: Path) -> None:
    frame = events_frame(1)
    frame.events.events[0].message = "x" * FRAME_BYTES
    with opened(tmp_path) as spool:
        with pytest.raises(ValueError, match="at most"):
            asyncio.run(spool.append(frame))
        with pytest.raises(ValueError, match="without content"):
            asyncio.run(spool.append(uplink_pb2.Frame()))
