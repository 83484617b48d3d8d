from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Encoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENCODING_UNSPECIFIED: _ClassVar[Encoding]
    ENCODING_RAW: _ClassVar[Encoding]
    ENCODING_PCODEC: _ClassVar[Encoding]
    ENCODING_ARITHMETIC: _ClassVar[Encoding]

class ValueType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VALUE_TYPE_UNSPECIFIED: _ClassVar[ValueType]
    VALUE_TYPE_F64: _ClassVar[ValueType]
    VALUE_TYPE_I64: _ClassVar[ValueType]

class TimeScope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TIME_SCOPE_UNSPECIFIED: _ClassVar[TimeScope]
    TIME_SCOPE_BATCH: _ClassVar[TimeScope]
    TIME_SCOPE_RESOURCE: _ClassVar[TimeScope]
    TIME_SCOPE_SAMPLE: _ClassVar[TimeScope]

class GapReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GAP_REASON_UNSPECIFIED: _ClassVar[GapReason]
    GAP_REASON_OVERRUN: _ClassVar[GapReason]
    GAP_REASON_UNREACHABLE: _ClassVar[GapReason]
    GAP_REASON_DENIED: _ClassVar[GapReason]
    GAP_REASON_ERROR: _ClassVar[GapReason]
    GAP_REASON_RESTART: _ClassVar[GapReason]
    GAP_REASON_DROPPED: _ClassVar[GapReason]
    GAP_REASON_SKEW: _ClassVar[GapReason]
    GAP_REASON_REFUSED: _ClassVar[GapReason]
    GAP_REASON_LEASE: _ClassVar[GapReason]
    GAP_REASON_MAINTENANCE: _ClassVar[GapReason]
ENCODING_UNSPECIFIED: Encoding
ENCODING_RAW: Encoding
ENCODING_PCODEC: Encoding
ENCODING_ARITHMETIC: Encoding
VALUE_TYPE_UNSPECIFIED: ValueType
VALUE_TYPE_F64: ValueType
VALUE_TYPE_I64: ValueType
TIME_SCOPE_UNSPECIFIED: TimeScope
TIME_SCOPE_BATCH: TimeScope
TIME_SCOPE_RESOURCE: TimeScope
TIME_SCOPE_SAMPLE: TimeScope
GAP_REASON_UNSPECIFIED: GapReason
GAP_REASON_OVERRUN: GapReason
GAP_REASON_UNREACHABLE: GapReason
GAP_REASON_DENIED: GapReason
GAP_REASON_ERROR: GapReason
GAP_REASON_RESTART: GapReason
GAP_REASON_DROPPED: GapReason
GAP_REASON_SKEW: GapReason
GAP_REASON_REFUSED: GapReason
GAP_REASON_LEASE: GapReason
GAP_REASON_MAINTENANCE: GapReason

class Column(_message.Message):
    __slots__ = ("encoding", "version", "type", "count", "data")
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    encoding: Encoding
    version: int
    type: ValueType
    count: int
    data: bytes
    def __init__(self, encoding: _Optional[_Union[Encoding, str]] = ..., version: _Optional[int] = ..., type: _Optional[_Union[ValueType, str]] = ..., count: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class ResourceRef(_message.Message):
    __slots__ = ("source", "kind", "key")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    source: str
    kind: str
    key: str
    def __init__(self, source: _Optional[str] = ..., kind: _Optional[str] = ..., key: _Optional[str] = ...) -> None: ...

class SeriesDefinition(_message.Message):
    __slots__ = ("id", "resource", "metric", "attributes")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    id: int
    resource: ResourceRef
    metric: str
    attributes: _containers.ScalarMap[str, str]
    def __init__(self, id: _Optional[int] = ..., resource: _Optional[_Union[ResourceRef, _Mapping]] = ..., metric: _Optional[str] = ..., attributes: _Optional[_Mapping[str, str]] = ...) -> None: ...

class SeriesDefinitions(_message.Message):
    __slots__ = ("epoch", "definitions")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    DEFINITIONS_FIELD_NUMBER: _ClassVar[int]
    epoch: bytes
    definitions: _containers.RepeatedCompositeFieldContainer[SeriesDefinition]
    def __init__(self, epoch: _Optional[bytes] = ..., definitions: _Optional[_Iterable[_Union[SeriesDefinition, _Mapping]]] = ...) -> None: ...

class Block(_message.Message):
    __slots__ = ("metric", "scope", "series", "times", "values", "starts")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    STARTS_FIELD_NUMBER: _ClassVar[int]
    metric: str
    scope: TimeScope
    series: Column
    times: Column
    values: Column
    starts: Column
    def __init__(self, metric: _Optional[str] = ..., scope: _Optional[_Union[TimeScope, str]] = ..., series: _Optional[_Union[Column, _Mapping]] = ..., times: _Optional[_Union[Column, _Mapping]] = ..., values: _Optional[_Union[Column, _Mapping]] = ..., starts: _Optional[_Union[Column, _Mapping]] = ...) -> None: ...

class Batch(_message.Message):
    __slots__ = ("source", "plan", "interval_ms", "times", "monotonic_ns", "boot_id", "blocks", "discontinuous", "source_offset_ms")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    MONOTONIC_NS_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    DISCONTINUOUS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_OFFSET_MS_FIELD_NUMBER: _ClassVar[int]
    source: str
    plan: str
    interval_ms: int
    times: Column
    monotonic_ns: int
    boot_id: bytes
    blocks: _containers.RepeatedCompositeFieldContainer[Block]
    discontinuous: bool
    source_offset_ms: int
    def __init__(self, source: _Optional[str] = ..., plan: _Optional[str] = ..., interval_ms: _Optional[int] = ..., times: _Optional[_Union[Column, _Mapping]] = ..., monotonic_ns: _Optional[int] = ..., boot_id: _Optional[bytes] = ..., blocks: _Optional[_Iterable[_Union[Block, _Mapping]]] = ..., discontinuous: bool = ..., source_offset_ms: _Optional[int] = ...) -> None: ...

class Gap(_message.Message):
    __slots__ = ("source", "plan", "resource", "from_ms", "to_ms", "reason", "detail")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    FROM_MS_FIELD_NUMBER: _ClassVar[int]
    TO_MS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    source: str
    plan: str
    resource: ResourceRef
    from_ms: int
    to_ms: int
    reason: GapReason
    detail: str
    def __init__(self, source: _Optional[str] = ..., plan: _Optional[str] = ..., resource: _Optional[_Union[ResourceRef, _Mapping]] = ..., from_ms: _Optional[int] = ..., to_ms: _Optional[int] = ..., reason: _Optional[_Union[GapReason, str]] = ..., detail: _Optional[str] = ...) -> None: ...

class GapList(_message.Message):
    __slots__ = ("gaps",)
    GAPS_FIELD_NUMBER: _ClassVar[int]
    gaps: _containers.RepeatedCompositeFieldContainer[Gap]
    def __init__(self, gaps: _Optional[_Iterable[_Union[Gap, _Mapping]]] = ...) -> None: ...
