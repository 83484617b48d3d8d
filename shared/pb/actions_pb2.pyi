from shared.pb import inventory_pb2 as _inventory_pb2
from shared.pb import telemetry_pb2 as _telemetry_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ActionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACTION_STATE_UNSPECIFIED: _ClassVar[ActionState]
    ACTION_STATE_ACCEPTED: _ClassVar[ActionState]
    ACTION_STATE_RUNNING: _ClassVar[ActionState]
    ACTION_STATE_SUCCEEDED: _ClassVar[ActionState]
    ACTION_STATE_FAILED: _ClassVar[ActionState]
    ACTION_STATE_REFUSED: _ClassVar[ActionState]
    ACTION_STATE_UNKNOWN: _ClassVar[ActionState]
ACTION_STATE_UNSPECIFIED: ActionState
ACTION_STATE_ACCEPTED: ActionState
ACTION_STATE_RUNNING: ActionState
ACTION_STATE_SUCCEEDED: ActionState
ACTION_STATE_FAILED: ActionState
ACTION_STATE_REFUSED: ActionState
ACTION_STATE_UNKNOWN: ActionState

class ActionRequest(_message.Message):
    __slots__ = ("request", "signature")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    request: bytes
    signature: bytes
    def __init__(self, request: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class ActionOrder(_message.Message):
    __slots__ = ("id", "idempotency_key", "resource", "verb", "arguments", "dry_run", "issued_ms", "expires_ms", "requested_by", "approved_by")
    class ArgumentsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _inventory_pb2.AttributeValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_inventory_pb2.AttributeValue, _Mapping]] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    VERB_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    ISSUED_MS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_MS_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    APPROVED_BY_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    idempotency_key: str
    resource: _telemetry_pb2.ResourceRef
    verb: str
    arguments: _containers.MessageMap[str, _inventory_pb2.AttributeValue]
    dry_run: bool
    issued_ms: int
    expires_ms: int
    requested_by: str
    approved_by: str
    def __init__(self, id: _Optional[bytes] = ..., idempotency_key: _Optional[str] = ..., resource: _Optional[_Union[_telemetry_pb2.ResourceRef, _Mapping]] = ..., verb: _Optional[str] = ..., arguments: _Optional[_Mapping[str, _inventory_pb2.AttributeValue]] = ..., dry_run: bool = ..., issued_ms: _Optional[int] = ..., expires_ms: _Optional[int] = ..., requested_by: _Optional[str] = ..., approved_by: _Optional[str] = ...) -> None: ...

class ActionUpdate(_message.Message):
    __slots__ = ("id", "state", "progress_percent", "message", "time_ms")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_PERCENT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    state: ActionState
    progress_percent: int
    message: str
    time_ms: int
    def __init__(self, id: _Optional[bytes] = ..., state: _Optional[_Union[ActionState, str]] = ..., progress_percent: _Optional[int] = ..., message: _Optional[str] = ..., time_ms: _Optional[int] = ...) -> None: ...
