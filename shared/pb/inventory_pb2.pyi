from shared.pb import telemetry_pb2 as _telemetry_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AttributeValue(_message.Message):
    __slots__ = ("text", "integer", "number", "flag")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    INTEGER_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    text: str
    integer: int
    number: float
    flag: bool
    def __init__(self, text: _Optional[str] = ..., integer: _Optional[int] = ..., number: _Optional[float] = ..., flag: bool = ...) -> None: ...

class IdentityClaim(_message.Message):
    __slots__ = ("type", "value", "strength")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    STRENGTH_FIELD_NUMBER: _ClassVar[int]
    type: str
    value: str
    strength: int
    def __init__(self, type: _Optional[str] = ..., value: _Optional[str] = ..., strength: _Optional[int] = ...) -> None: ...

class Resource(_message.Message):
    __slots__ = ("kind", "key", "name", "state", "state_reason", "attributes", "claims")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: AttributeValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[AttributeValue, _Mapping]] = ...) -> None: ...
    KIND_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATE_REASON_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    CLAIMS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    key: str
    name: str
    state: str
    state_reason: str
    attributes: _containers.MessageMap[str, AttributeValue]
    claims: _containers.RepeatedCompositeFieldContainer[IdentityClaim]
    def __init__(self, kind: _Optional[str] = ..., key: _Optional[str] = ..., name: _Optional[str] = ..., state: _Optional[str] = ..., state_reason: _Optional[str] = ..., attributes: _Optional[_Mapping[str, AttributeValue]] = ..., claims: _Optional[_Iterable[_Union[IdentityClaim, _Mapping]]] = ...) -> None: ...

class Relation(_message.Message):
    __slots__ = ("type", "to")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    type: str
    to: _telemetry_pb2.ResourceRef
    def __init__(self, type: _Optional[str] = ..., to: _Optional[_Union[_telemetry_pb2.ResourceRef, _Mapping]] = ..., **kwargs) -> None: ...

class Removal(_message.Message):
    __slots__ = ("kind", "key")
    KIND_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    kind: str
    key: str
    def __init__(self, kind: _Optional[str] = ..., key: _Optional[str] = ...) -> None: ...

class InventoryDelta(_message.Message):
    __slots__ = ("source", "base_revision", "revision", "full", "observed_ms", "resources", "removed", "relations", "removed_relations", "part_begin", "part_end")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    BASE_REVISION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    FULL_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_MS_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    RELATIONS_FIELD_NUMBER: _ClassVar[int]
    REMOVED_RELATIONS_FIELD_NUMBER: _ClassVar[int]
    PART_BEGIN_FIELD_NUMBER: _ClassVar[int]
    PART_END_FIELD_NUMBER: _ClassVar[int]
    source: str
    base_revision: int
    revision: int
    full: bool
    observed_ms: int
    resources: _containers.RepeatedCompositeFieldContainer[Resource]
    removed: _containers.RepeatedCompositeFieldContainer[Removal]
    relations: _containers.RepeatedCompositeFieldContainer[Relation]
    removed_relations: _containers.RepeatedCompositeFieldContainer[Relation]
    part_begin: Relation
    part_end: Relation
    def __init__(self, source: _Optional[str] = ..., base_revision: _Optional[int] = ..., revision: _Optional[int] = ..., full: bool = ..., observed_ms: _Optional[int] = ..., resources: _Optional[_Iterable[_Union[Resource, _Mapping]]] = ..., removed: _Optional[_Iterable[_Union[Removal, _Mapping]]] = ..., relations: _Optional[_Iterable[_Union[Relation, _Mapping]]] = ..., removed_relations: _Optional[_Iterable[_Union[Relation, _Mapping]]] = ..., part_begin: _Optional[_Union[Relation, _Mapping]] = ..., part_end: _Optional[_Union[Relation, _Mapping]] = ...) -> None: ...
