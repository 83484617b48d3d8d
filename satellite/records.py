"""The bytes of the spool: checked records in files. docs/spool.md describes them for readers in other languages.

The one promise: a record is returned whole and as it was written, or not at all.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import google_crc32c

FILE_MAGIC: Final = b"NPHSPL\x00\x01"  # the last byte is the format version
MARK: Final = b"\xf3NR\n"
_HEAD: Final = struct.Struct("<4sIIQqB")  # mark, payload length, CRC32C, sequence, UTC milliseconds, type
_CHECKED: Final = struct.Struct("<IQqB")  # what the CRC covers before the payload
HEAD_BYTES: Final = _HEAD.size
PAYLOAD_LIMIT: Final = 4 * 1024 * 1024


class RecordType(IntEnum):
    """What a payload is."""

    BATCH = 1
    INVENTORY = 2
    EVENTS = 3
    GAPS = 4
    DEFINITIONS = 5  # only in the file `definitions`; its sequence is the first series id
    TAKEN = 6  # only in the file `taken`; its sequence is 0
    DROPPED = 7  # only in the file `dropped`; its sequence is 0
    PRODUCED = 8  # only in the file `produced`; its sequence is 0


@dataclass(frozen=True, slots=True)
class Record:
    """Where a record lies in its file, and its head."""

    offset: int
    size: int  # bytes with the head
    sequence: int
    time_ms: int
    type: RecordType

    @property
    def payload(self) -> slice:
        """Where the payload lies in the file."""
        return slice(self.offset + HEAD_BYTES, self.offset + self.size)


@dataclass(frozen=True, slots=True)
class Scan:
    """What a file holds: its valid records, where the last ends, and whether bytes between them are damaged."""

    records: list[Record]
    end: int
    damaged: bool


def pack(sequence: int, time_ms: int, record_type: RecordType, payload: bytes) -> bytes:
    """Return a record's bytes; raises ValueError for a payload above PAYLOAD_LIMIT."""
    if len(payload) > PAYLOAD_LIMIT:
        raise ValueError(f"a record holds at most {PAYLOAD_LIMIT} bytes, not {len(payload)}")
    checksum = _checksum(len(payload), sequence, time_ms, record_type, payload)
    return _HEAD.pack(MARK, len(payload), checksum, sequence, time_ms, record_type) + payload


def parse(data: bytes, offset: int) -> Record | None:
    """Return the valid record at an offset, or None."""
    if offset + HEAD_BYTES > len(data):
        return None
    mark, length, checksum, sequence, time_ms, kind = _HEAD.unpack_from(data, offset)
    end = offset + HEAD_BYTES + length
    if mark != MARK or length > PAYLOAD_LIMIT or end > len(data) or not RecordType.BATCH <= kind <= RecordType.PRODUCED:
        return None
    if checksum != _checksum(length, sequence, time_ms, kind, data[offset + HEAD_BYTES : end]):
        return None
    return Record(offset, HEAD_BYTES + length, sequence, time_ms, RecordType(kind))


def scan(data: bytes) -> Scan:
    """Find every valid record of a file; damaged bytes are stepped over to the next mark that heads a valid one."""
    records: list[Record] = []
    end = len(FILE_MAGIC) if data.startswith(FILE_MAGIC) else 0
    damaged, offset = bool(data) and not end, end
    while offset < len(data):
        record = parse(data, offset)
        if record is None:
            record = next(_after(data, offset + 1), None)
            if record is None:
                break
            damaged = True
        records.append(record)
        offset = end = record.offset + record.size
    return Scan(records, end, damaged)


def _after(data: bytes, offset: int) -> Iterator[Record]:
    while (offset := data.find(MARK, offset)) >= 0:
        if record := parse(data, offset):
            yield record
        offset += 1


def _checksum(length: int, sequence: int, time_ms: int, kind: int, payload: bytes) -> int:
    head = google_crc32c.value(_CHECKED.pack(length, sequence, time_ms, kind))
    return int(google_crc32c.extend(head, payload))
