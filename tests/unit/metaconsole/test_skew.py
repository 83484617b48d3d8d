"""What a release could not tell is left out of what is kept of its heartbeat, and nothing else is."""

from pathlib import Path
from typing import Final

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.message import Message
from released.folders import RELEASES

from metaconsole.gateway.liveness import heartbeat_values
from metaconsole.gateway.skew import FIELDS, told
from shared.pb import uplink_pb2
from shared.protocol import PROTOCOL

MINORS: Final = {"0.1.0": 0}  # of the protocol, by release
MESSAGES: list[type[Message]] = [uplink_pb2.Heartbeat, uplink_pb2.SourceStatus]


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.DESCRIPTOR.name)
def test_the_fields_of_a_release_are_what_it_can_tell(release: Path, message: type[Message]) -> None:
    kept = descriptor_pb2.FileDescriptorSet.FromString((release / "descriptors.binpb").read_bytes())
    (had,) = [one for file in kept.file for one in file.message_type if one.name == message.DESCRIPTOR.name]
    assert told(message, MINORS[release.name]) == [field.name for field in had.field]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.DESCRIPTOR.name)
def test_who_is_as_new_as_we_tells_all(message: type[Message]) -> None:
    assert told(message, PROTOCOL[1]) == [field.name for field in message.DESCRIPTOR.fields]
    assert len(FIELDS[message.DESCRIPTOR.name]) == PROTOCOL[1]


def test_a_heartbeat_of_before_leaves_out_what_it_can_not_tell() -> None:
    beat = uplink_pb2.Heartbeat(spool_frames=3, sources=[uplink_pb2.SourceStatus(source="machine")])
    before, now = (heartbeat_values(beat, (1, minor)) for minor in (0, 1))
    assert (before["spool_frames"], now["spool_frames"]) == (3, 3)
    assert (now["spool_kept_bytes"], now["protocol_minor"], before["protocol_minor"]) == (0, 1, 0)
    assert before.keys() == {field.name for field in beat.DESCRIPTOR.fields if field.number <= 9} | {
        "protocol_major", "protocol_minor",
    }  # fmt: skip
    assert before["sources"][0]["source"] == "machine"
