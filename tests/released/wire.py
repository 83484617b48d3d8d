"""Whether a new wire contract breaks an old one: the rules of a buf-style check on descriptor sets.

A field or enum value may go only when its number and name are reserved; nothing changes its number, type or name.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Final, TypeAlias

from google.protobuf import descriptor_pb2 as pb

Message: TypeAlias = pb.DescriptorProto
Enum: TypeAlias = pb.EnumDescriptorProto
PROTO: Final = Path(__file__).resolve().parents[2] / "proto" / "nephoscope" / "v1"


def current() -> pb.FileDescriptorSet:
    """Return the contract that this checkout speaks, as its generated modules say."""
    contract = pb.FileDescriptorSet()
    for source in sorted(PROTO.glob("*.proto")):
        module = import_module(f"shared.pb.{source.stem}_pb2")
        contract.file.add().MergeFromString(module.DESCRIPTOR.serialized_pb)
    return contract


def breaks(old: pb.FileDescriptorSet, new: pb.FileDescriptorSet) -> list[str]:
    """Return a sentence for each way in which a program of the old contract can't talk to one of the new."""
    found: list[str] = []
    messages, enums = _messages(new), _enums(new)
    for name, message in _messages(old).items():
        found += _message(name, message, messages[name]) if name in messages else [f"message {name} is gone"]
    for name, enum in _enums(old).items():
        found += _enum(name, enum, enums[name]) if name in enums else [f"enum {name} is gone"]
    methods = _methods(new)
    found += [f"{name} is gone or has other types" for name, what in _methods(old).items() if methods.get(name) != what]
    return found


def _message(name: str, old: Message, new: Message) -> Iterator[str]:
    fields = {field.number: field for field in new.field}
    reserved, names = _numbers(new), set(new.reserved_name)
    for field in old.field:
        if (now := fields.get(field.number)) is None:
            if field.number not in reserved or field.name not in names:
                yield f"{name}.{field.name} is gone, and {field.number} and its name are not both reserved"
        elif _shape(old, field) != _shape(new, now):
            yield f"{name}.{field.name} = {field.number} changed its name, type, label or oneof"
    if gone := _numbers(old) - reserved:
        yield f"{name} no longer reserves {sorted(gone)}"
    if lost := set(old.reserved_name) - names:
        yield f"{name} no longer reserves {sorted(lost)}"


def _shape(message: Message, field: pb.FieldDescriptorProto) -> tuple[str | int, ...]:
    oneof = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""
    return field.name, field.type, field.label, field.type_name, oneof


def _numbers(message: Message) -> set[int]:
    return {number for part in message.reserved_range for number in range(part.start, part.end)}


def _enum(name: str, old: Enum, new: Enum) -> Iterator[str]:
    values = {value.number: value.name for value in new.value}
    reserved = {number for part in new.reserved_range for number in range(part.start, part.end + 1)}
    for value in old.value:
        if value.number in values and values[value.number] != value.name:
            yield f"{name}: {value.number} was {value.name} and is {values[value.number]}"
        if value.number not in values and (value.number not in reserved or value.name not in new.reserved_name):
            yield f"{name}.{value.name} is gone, and {value.number} and its name are not both reserved"


def _messages(contract: pb.FileDescriptorSet) -> Mapping[str, Message]:
    found: dict[str, Message] = {}

    def add(prefix: str, message: Message) -> None:
        found[f"{prefix}.{message.name}"] = message
        for nested in message.nested_type:
            add(f"{prefix}.{message.name}", nested)

    for file in _ours(contract):
        for message in file.message_type:
            add(file.package, message)
    return found


def _enums(contract: pb.FileDescriptorSet) -> Mapping[str, Enum]:
    top = {f"{file.package}.{enum.name}": enum for file in _ours(contract) for enum in file.enum_type}
    nested = {f"{name}.{enum.name}": enum for name, holder in _messages(contract).items() for enum in holder.enum_type}
    return top | nested


def _methods(contract: pb.FileDescriptorSet) -> Mapping[str, tuple[str, str, bool, bool]]:
    return {
        f"{file.package}.{service.name}.{method.name}": (
            method.input_type,
            method.output_type,
            method.client_streaming,
            method.server_streaming,
        )
        for file in _ours(contract)
        for service in file.service
        for method in service.method
    }


def _ours(contract: pb.FileDescriptorSet) -> Iterator[pb.FileDescriptorProto]:
    """Yield the files of the contract itself; what it imports from protobuf is protobuf's business."""
    yield from (file for file in contract.file if file.package.startswith("nephoscope."))
