"""A satellite of any release talks to today's metaconsole, and the check that says so sees each kind of break."""

from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2 as pb

from released import wire
from released.folders import RELEASES
from shared import __version__


def test_what_was_tagged_first_is_kept() -> None:
    assert "0.1.0" in [release.name for release in RELEASES], f"run tests/released/make.py {__version__} before the tag"


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_the_contract_of_a_release_still_holds(release: Path) -> None:
    old = pb.FileDescriptorSet.FromString((release / "descriptors.binpb").read_bytes())
    assert {"nephoscope.v1"} <= {file.package for file in old.file}
    assert wire.breaks(old, wire.current()) == []


def _file(contract: pb.FileDescriptorSet, name: str) -> pb.FileDescriptorProto:
    return next(file for file in contract.file if file.name.endswith(f"{name}.proto"))


def _message(contract: pb.FileDescriptorSet, file: str, name: str) -> pb.DescriptorProto:
    return next(message for message in _file(contract, file).message_type if message.name == name)


def _remove_a_field(contract: pb.FileDescriptorSet) -> None:
    del _message(contract, "telemetry", "Batch").field[0]


def _remove_and_reserve_the_number_alone(contract: pb.FileDescriptorSet) -> None:
    message = _message(contract, "telemetry", "Batch")
    message.reserved_range.add(start=message.field[0].number, end=message.field[0].number + 1)
    del message.field[0]


def _renumber(contract: pb.FileDescriptorSet) -> None:
    _message(contract, "telemetry", "Batch").field[0].number = 99


def _retype(contract: pb.FileDescriptorSet) -> None:
    _message(contract, "telemetry", "Column").field[3].type = pb.FieldDescriptorProto.TYPE_UINT64


def _repeat(contract: pb.FileDescriptorSet) -> None:
    _message(contract, "telemetry", "Batch").field[0].label = pb.FieldDescriptorProto.LABEL_REPEATED


def _leave_a_oneof(contract: pb.FileDescriptorSet) -> None:
    _message(contract, "uplink", "Frame").field[3].ClearField("oneof_index")


def _rename_a_value(contract: pb.FileDescriptorSet) -> None:
    _file(contract, "telemetry").enum_type[0].value[1].name = "ENCODING_PLAIN"


def _remove_a_value(contract: pb.FileDescriptorSet) -> None:
    del _file(contract, "telemetry").enum_type[0].value[2]


def _remove_a_message(contract: pb.FileDescriptorSet) -> None:
    del _file(contract, "telemetry").message_type[0]


def _remove_a_method(contract: pb.FileDescriptorSet) -> None:
    del _file(contract, "uplink").service[0].method[0]


@pytest.mark.parametrize(
    "change",
    [
        _remove_a_field,
        _remove_and_reserve_the_number_alone,
        _renumber,
        _retype,
        _repeat,
        _leave_a_oneof,
        _rename_a_value,
        _remove_a_value,
        _remove_a_message,
        _remove_a_method,
    ],
)
def test_a_break_is_seen(change: Callable[[pb.FileDescriptorSet], None]) -> None:
    changed = wire.current()
    change(changed)
    assert wire.breaks(wire.current(), changed) != []


def test_what_is_added_breaks_nothing_and_what_is_reserved_may_go() -> None:
    changed = wire.current()
    batch = _message(changed, "telemetry", "Batch")
    batch.field.add(name="later", number=50, type=pb.FieldDescriptorProto.TYPE_STRING, label=1)
    batch.reserved_range.add(start=batch.field[0].number, end=batch.field[0].number + 1)
    batch.reserved_name.append(batch.field[0].name)
    del batch.field[0]
    assert wire.breaks(wire.current(), changed) == []


def test_a_reservation_stays() -> None:
    reserved, freed = wire.current(), wire.current()
    _message(reserved, "telemetry", "Batch").reserved_range.add(start=40, end=41)
    assert wire.breaks(reserved, freed) == ["nephoscope.v1.Batch no longer reserves [40]"]
