from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class JoinRequest(_message.Message):
    __slots__ = ("token_id", "token_secret", "signing_request_der", "version", "now_ms", "satellite_id", "site")
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_SECRET_FIELD_NUMBER: _ClassVar[int]
    SIGNING_REQUEST_DER_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    NOW_MS_FIELD_NUMBER: _ClassVar[int]
    SATELLITE_ID_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    token_id: str
    token_secret: bytes
    signing_request_der: bytes
    version: str
    now_ms: int
    satellite_id: str
    site: str
    def __init__(self, token_id: _Optional[str] = ..., token_secret: _Optional[bytes] = ..., signing_request_der: _Optional[bytes] = ..., version: _Optional[str] = ..., now_ms: _Optional[int] = ..., satellite_id: _Optional[str] = ..., site: _Optional[str] = ...) -> None: ...

class RenewRequest(_message.Message):
    __slots__ = ("signing_request_der",)
    SIGNING_REQUEST_DER_FIELD_NUMBER: _ClassVar[int]
    signing_request_der: bytes
    def __init__(self, signing_request_der: _Optional[bytes] = ...) -> None: ...

class Certificate(_message.Message):
    __slots__ = ("certificate_pem", "trust_bundle_pem", "satellite_id", "site", "uplinks", "renew_after_ms", "name", "server_name")
    CERTIFICATE_PEM_FIELD_NUMBER: _ClassVar[int]
    TRUST_BUNDLE_PEM_FIELD_NUMBER: _ClassVar[int]
    SATELLITE_ID_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    UPLINKS_FIELD_NUMBER: _ClassVar[int]
    RENEW_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SERVER_NAME_FIELD_NUMBER: _ClassVar[int]
    certificate_pem: bytes
    trust_bundle_pem: bytes
    satellite_id: str
    site: str
    uplinks: _containers.RepeatedScalarFieldContainer[str]
    renew_after_ms: int
    name: str
    server_name: str
    def __init__(self, certificate_pem: _Optional[bytes] = ..., trust_bundle_pem: _Optional[bytes] = ..., satellite_id: _Optional[str] = ..., site: _Optional[str] = ..., uplinks: _Optional[_Iterable[str]] = ..., renew_after_ms: _Optional[int] = ..., name: _Optional[str] = ..., server_name: _Optional[str] = ...) -> None: ...
