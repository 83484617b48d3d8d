from shared.pb import actions_pb2 as _actions_pb2
from shared.pb import events_pb2 as _events_pb2
from shared.pb import inventory_pb2 as _inventory_pb2
from shared.pb import telemetry_pb2 as _telemetry_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Lane(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LANE_UNSPECIFIED: _ClassVar[Lane]
    LANE_LIVE: _ClassVar[Lane]
    LANE_BACKFILL: _ClassVar[Lane]
LANE_UNSPECIFIED: Lane
LANE_LIVE: Lane
LANE_BACKFILL: Lane

class SatelliteMessage(_message.Message):
    __slots__ = ("hello", "series", "frame", "dropped", "heartbeat", "action_update", "config_status", "produced", "deflated")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    ACTION_UPDATE_FIELD_NUMBER: _ClassVar[int]
    CONFIG_STATUS_FIELD_NUMBER: _ClassVar[int]
    PRODUCED_FIELD_NUMBER: _ClassVar[int]
    DEFLATED_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    series: _telemetry_pb2.SeriesDefinitions
    frame: Frame
    dropped: Dropped
    heartbeat: Heartbeat
    action_update: _actions_pb2.ActionUpdate
    config_status: ConfigStatus
    produced: Produced
    deflated: bytes
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., series: _Optional[_Union[_telemetry_pb2.SeriesDefinitions, _Mapping]] = ..., frame: _Optional[_Union[Frame, _Mapping]] = ..., dropped: _Optional[_Union[Dropped, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., action_update: _Optional[_Union[_actions_pb2.ActionUpdate, _Mapping]] = ..., config_status: _Optional[_Union[ConfigStatus, _Mapping]] = ..., produced: _Optional[_Union[Produced, _Mapping]] = ..., deflated: _Optional[bytes] = ...) -> None: ...

class MetaconsoleMessage(_message.Message):
    __slots__ = ("welcome", "ack", "credit", "config", "action", "drain", "backfill", "recall", "clock")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    BACKFILL_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    CLOCK_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    ack: Ack
    credit: Credit
    config: Config
    action: _actions_pb2.ActionRequest
    drain: Drain
    backfill: BackfillBudget
    recall: Recall
    clock: ClockAnswer
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., ack: _Optional[_Union[Ack, _Mapping]] = ..., credit: _Optional[_Union[Credit, _Mapping]] = ..., config: _Optional[_Union[Config, _Mapping]] = ..., action: _Optional[_Union[_actions_pb2.ActionRequest, _Mapping]] = ..., drain: _Optional[_Union[Drain, _Mapping]] = ..., backfill: _Optional[_Union[BackfillBudget, _Mapping]] = ..., recall: _Optional[_Union[Recall, _Mapping]] = ..., clock: _Optional[_Union[ClockAnswer, _Mapping]] = ...) -> None: ...

class SequenceRange(_message.Message):
    __slots__ = ("first", "last")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    first: int
    last: int
    def __init__(self, first: _Optional[int] = ..., last: _Optional[int] = ...) -> None: ...

class EpochOffer(_message.Message):
    __slots__ = ("epoch", "unsent", "next_sequence", "series_through")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    UNSENT_FIELD_NUMBER: _ClassVar[int]
    NEXT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SERIES_THROUGH_FIELD_NUMBER: _ClassVar[int]
    epoch: bytes
    unsent: _containers.RepeatedCompositeFieldContainer[SequenceRange]
    next_sequence: int
    series_through: int
    def __init__(self, epoch: _Optional[bytes] = ..., unsent: _Optional[_Iterable[_Union[SequenceRange, _Mapping]]] = ..., next_sequence: _Optional[int] = ..., series_through: _Optional[int] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("version", "protocol_major", "protocol_minor", "epoch", "process_nonce", "session_counter", "epochs", "config_revision", "capabilities", "now_ms", "incarnation", "trust_sha256")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_MAJOR_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_MINOR_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    PROCESS_NONCE_FIELD_NUMBER: _ClassVar[int]
    SESSION_COUNTER_FIELD_NUMBER: _ClassVar[int]
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    CONFIG_REVISION_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    NOW_MS_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    TRUST_SHA256_FIELD_NUMBER: _ClassVar[int]
    version: str
    protocol_major: int
    protocol_minor: int
    epoch: bytes
    process_nonce: bytes
    session_counter: int
    epochs: _containers.RepeatedCompositeFieldContainer[EpochOffer]
    config_revision: str
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    now_ms: int
    incarnation: bytes
    trust_sha256: bytes
    def __init__(self, version: _Optional[str] = ..., protocol_major: _Optional[int] = ..., protocol_minor: _Optional[int] = ..., epoch: _Optional[bytes] = ..., process_nonce: _Optional[bytes] = ..., session_counter: _Optional[int] = ..., epochs: _Optional[_Iterable[_Union[EpochOffer, _Mapping]]] = ..., config_revision: _Optional[str] = ..., capabilities: _Optional[_Iterable[str]] = ..., now_ms: _Optional[int] = ..., incarnation: _Optional[bytes] = ..., trust_sha256: _Optional[bytes] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("message_bytes", "batch_samples", "series", "series_attributes", "frames_in_flight")
    MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    BATCH_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    SERIES_ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    FRAMES_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    message_bytes: int
    batch_samples: int
    series: int
    series_attributes: int
    frames_in_flight: int
    def __init__(self, message_bytes: _Optional[int] = ..., batch_samples: _Optional[int] = ..., series: _Optional[int] = ..., series_attributes: _Optional[int] = ..., frames_in_flight: _Optional[int] = ...) -> None: ...

class EpochState(_message.Message):
    __slots__ = ("epoch", "series_through", "taken", "retired")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SERIES_THROUGH_FIELD_NUMBER: _ClassVar[int]
    TAKEN_FIELD_NUMBER: _ClassVar[int]
    RETIRED_FIELD_NUMBER: _ClassVar[int]
    epoch: bytes
    series_through: int
    taken: _containers.RepeatedCompositeFieldContainer[SequenceRange]
    retired: bool
    def __init__(self, epoch: _Optional[bytes] = ..., series_through: _Optional[int] = ..., taken: _Optional[_Iterable[_Union[SequenceRange, _Mapping]]] = ..., retired: bool = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("version", "protocol_major", "protocol_minor", "incarnation", "now_ms", "limits", "epochs", "satellite_id", "site", "renew_certificate")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_MAJOR_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_MINOR_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    NOW_MS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    SATELLITE_ID_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    RENEW_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    version: str
    protocol_major: int
    protocol_minor: int
    incarnation: bytes
    now_ms: int
    limits: Limits
    epochs: _containers.RepeatedCompositeFieldContainer[EpochState]
    satellite_id: str
    site: str
    renew_certificate: bool
    def __init__(self, version: _Optional[str] = ..., protocol_major: _Optional[int] = ..., protocol_minor: _Optional[int] = ..., incarnation: _Optional[bytes] = ..., now_ms: _Optional[int] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., epochs: _Optional[_Iterable[_Union[EpochState, _Mapping]]] = ..., satellite_id: _Optional[str] = ..., site: _Optional[str] = ..., renew_certificate: bool = ...) -> None: ...

class Frame(_message.Message):
    __slots__ = ("epoch", "sequence", "lane", "batch", "inventory", "events", "gaps", "stamped")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LANE_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    INVENTORY_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    GAPS_FIELD_NUMBER: _ClassVar[int]
    STAMPED_FIELD_NUMBER: _ClassVar[int]
    epoch: bytes
    sequence: int
    lane: Lane
    batch: _telemetry_pb2.Batch
    inventory: _inventory_pb2.InventoryDelta
    events: _events_pb2.EventList
    gaps: _telemetry_pb2.GapList
    stamped: ClockStamp
    def __init__(self, epoch: _Optional[bytes] = ..., sequence: _Optional[int] = ..., lane: _Optional[_Union[Lane, str]] = ..., batch: _Optional[_Union[_telemetry_pb2.Batch, _Mapping]] = ..., inventory: _Optional[_Union[_inventory_pb2.InventoryDelta, _Mapping]] = ..., events: _Optional[_Union[_events_pb2.EventList, _Mapping]] = ..., gaps: _Optional[_Union[_telemetry_pb2.GapList, _Mapping]] = ..., stamped: _Optional[_Union[ClockStamp, _Mapping]] = ...) -> None: ...

class ClockStamp(_message.Message):
    __slots__ = ("now_ms", "monotonic_ns", "boot_id")
    NOW_MS_FIELD_NUMBER: _ClassVar[int]
    MONOTONIC_NS_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    now_ms: int
    monotonic_ns: int
    boot_id: bytes
    def __init__(self, now_ms: _Optional[int] = ..., monotonic_ns: _Optional[int] = ..., boot_id: _Optional[bytes] = ...) -> None: ...

class Dropped(_message.Message):
    __slots__ = ("epoch", "range", "from_ms", "to_ms", "reason", "samples")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    FROM_MS_FIELD_NUMBER: _ClassVar[int]
    TO_MS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    epoch: bytes
    range: SequenceRange
    from_ms: int
    to_ms: int
    reason: _telemetry_pb2.GapReason
    samples: int
    def __init__(self, epoch: _Optional[bytes] = ..., range: _Optional[_Union[SequenceRange, _Mapping]] = ..., from_ms: _Optional[int] = ..., to_ms: _Optional[int] = ..., reason: _Optional[_Union[_telemetry_pb2.GapReason, str]] = ..., samples: _Optional[int] = ...) -> None: ...

class SourceStatus(_message.Message):
    __slots__ = ("source", "collector", "state", "message", "last_success_ms", "cycle_seconds", "interval_seconds", "calls", "errors", "overruns", "samples", "cpu_seconds", "clock_offset_ms", "clock_uncertainty_ms", "plans", "calls_per_minute", "bytes_per_minute", "busy_per_minute", "budget")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    COLLECTOR_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    LAST_SUCCESS_MS_FIELD_NUMBER: _ClassVar[int]
    CYCLE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    OVERRUNS_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    CPU_SECONDS_FIELD_NUMBER: _ClassVar[int]
    CLOCK_OFFSET_MS_FIELD_NUMBER: _ClassVar[int]
    CLOCK_UNCERTAINTY_MS_FIELD_NUMBER: _ClassVar[int]
    PLANS_FIELD_NUMBER: _ClassVar[int]
    CALLS_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    BYTES_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    BUSY_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    source: str
    collector: str
    state: str
    message: str
    last_success_ms: int
    cycle_seconds: float
    interval_seconds: float
    calls: int
    errors: int
    overruns: int
    samples: int
    cpu_seconds: float
    clock_offset_ms: int
    clock_uncertainty_ms: int
    plans: _containers.RepeatedCompositeFieldContainer[PlanStatus]
    calls_per_minute: float
    bytes_per_minute: float
    busy_per_minute: float
    budget: float
    def __init__(self, source: _Optional[str] = ..., collector: _Optional[str] = ..., state: _Optional[str] = ..., message: _Optional[str] = ..., last_success_ms: _Optional[int] = ..., cycle_seconds: _Optional[float] = ..., interval_seconds: _Optional[float] = ..., calls: _Optional[int] = ..., errors: _Optional[int] = ..., overruns: _Optional[int] = ..., samples: _Optional[int] = ..., cpu_seconds: _Optional[float] = ..., clock_offset_ms: _Optional[int] = ..., clock_uncertainty_ms: _Optional[int] = ..., plans: _Optional[_Iterable[_Union[PlanStatus, _Mapping]]] = ..., calls_per_minute: _Optional[float] = ..., bytes_per_minute: _Optional[float] = ..., busy_per_minute: _Optional[float] = ..., budget: _Optional[float] = ...) -> None: ...

class PlanStatus(_message.Message):
    __slots__ = ("plan", "interval_seconds", "stretch", "busy_seconds")
    PLAN_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    STRETCH_FIELD_NUMBER: _ClassVar[int]
    BUSY_SECONDS_FIELD_NUMBER: _ClassVar[int]
    plan: str
    interval_seconds: float
    stretch: int
    busy_seconds: float
    def __init__(self, plan: _Optional[str] = ..., interval_seconds: _Optional[float] = ..., stretch: _Optional[int] = ..., busy_seconds: _Optional[float] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("now_ms", "spool_frames", "spool_bytes", "oldest_unsent_ms", "sources", "frames_produced", "frames_refused", "rss_bytes", "cpu_seconds", "spool_bound_bytes", "spool_kept_bytes", "spool_full_seconds", "spool_dropped_frames", "spool_dropped_samples", "disk_free_bytes", "monotonic_ns", "gateway_monotonic_ns", "clock_uncertainty_ns", "boot_id", "backfill_rate")
    NOW_MS_FIELD_NUMBER: _ClassVar[int]
    SPOOL_FRAMES_FIELD_NUMBER: _ClassVar[int]
    SPOOL_BYTES_FIELD_NUMBER: _ClassVar[int]
    OLDEST_UNSENT_MS_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    FRAMES_PRODUCED_FIELD_NUMBER: _ClassVar[int]
    FRAMES_REFUSED_FIELD_NUMBER: _ClassVar[int]
    RSS_BYTES_FIELD_NUMBER: _ClassVar[int]
    CPU_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SPOOL_BOUND_BYTES_FIELD_NUMBER: _ClassVar[int]
    SPOOL_KEPT_BYTES_FIELD_NUMBER: _ClassVar[int]
    SPOOL_FULL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SPOOL_DROPPED_FRAMES_FIELD_NUMBER: _ClassVar[int]
    SPOOL_DROPPED_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    DISK_FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MONOTONIC_NS_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_MONOTONIC_NS_FIELD_NUMBER: _ClassVar[int]
    CLOCK_UNCERTAINTY_NS_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    BACKFILL_RATE_FIELD_NUMBER: _ClassVar[int]
    now_ms: int
    spool_frames: int
    spool_bytes: int
    oldest_unsent_ms: int
    sources: _containers.RepeatedCompositeFieldContainer[SourceStatus]
    frames_produced: int
    frames_refused: int
    rss_bytes: float
    cpu_seconds: float
    spool_bound_bytes: int
    spool_kept_bytes: int
    spool_full_seconds: int
    spool_dropped_frames: int
    spool_dropped_samples: int
    disk_free_bytes: int
    monotonic_ns: int
    gateway_monotonic_ns: int
    clock_uncertainty_ns: int
    boot_id: bytes
    backfill_rate: float
    def __init__(self, now_ms: _Optional[int] = ..., spool_frames: _Optional[int] = ..., spool_bytes: _Optional[int] = ..., oldest_unsent_ms: _Optional[int] = ..., sources: _Optional[_Iterable[_Union[SourceStatus, _Mapping]]] = ..., frames_produced: _Optional[int] = ..., frames_refused: _Optional[int] = ..., rss_bytes: _Optional[float] = ..., cpu_seconds: _Optional[float] = ..., spool_bound_bytes: _Optional[int] = ..., spool_kept_bytes: _Optional[int] = ..., spool_full_seconds: _Optional[int] = ..., spool_dropped_frames: _Optional[int] = ..., spool_dropped_samples: _Optional[int] = ..., disk_free_bytes: _Optional[int] = ..., monotonic_ns: _Optional[int] = ..., gateway_monotonic_ns: _Optional[int] = ..., clock_uncertainty_ns: _Optional[int] = ..., boot_id: _Optional[bytes] = ..., backfill_rate: _Optional[float] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("sequence", "reason", "detail")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    reason: str
    detail: str
    def __init__(self, sequence: _Optional[int] = ..., reason: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("epoch", "taken", "refused", "replayed")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TAKEN_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    epoch: bytes
    taken: _containers.RepeatedCompositeFieldContainer[SequenceRange]
    refused: _containers.RepeatedCompositeFieldContainer[Refusal]
    replayed: _containers.RepeatedCompositeFieldContainer[SequenceRange]
    def __init__(self, epoch: _Optional[bytes] = ..., taken: _Optional[_Iterable[_Union[SequenceRange, _Mapping]]] = ..., refused: _Optional[_Iterable[_Union[Refusal, _Mapping]]] = ..., replayed: _Optional[_Iterable[_Union[SequenceRange, _Mapping]]] = ...) -> None: ...

class Credit(_message.Message):
    __slots__ = ("frames",)
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    frames: int
    def __init__(self, frames: _Optional[int] = ...) -> None: ...

class Config(_message.Message):
    __slots__ = ("revision", "sources_toml")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SOURCES_TOML_FIELD_NUMBER: _ClassVar[int]
    revision: str
    sources_toml: str
    def __init__(self, revision: _Optional[str] = ..., sources_toml: _Optional[str] = ...) -> None: ...

class ConfigStatus(_message.Message):
    __slots__ = ("revision", "running", "error")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    revision: str
    running: bool
    error: str
    def __init__(self, revision: _Optional[str] = ..., running: bool = ..., error: _Optional[str] = ...) -> None: ...

class BackfillBudget(_message.Message):
    __slots__ = ("kbit_per_second", "from_minute", "to_minute")
    KBIT_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    FROM_MINUTE_FIELD_NUMBER: _ClassVar[int]
    TO_MINUTE_FIELD_NUMBER: _ClassVar[int]
    kbit_per_second: int
    from_minute: int
    to_minute: int
    def __init__(self, kbit_per_second: _Optional[int] = ..., from_minute: _Optional[int] = ..., to_minute: _Optional[int] = ...) -> None: ...

class ClockAnswer(_message.Message):
    __slots__ = ("heartbeat_ns", "received_ns", "answered_ns", "now_ms")
    HEARTBEAT_NS_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_NS_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_NS_FIELD_NUMBER: _ClassVar[int]
    NOW_MS_FIELD_NUMBER: _ClassVar[int]
    heartbeat_ns: int
    received_ns: int
    answered_ns: int
    now_ms: int
    def __init__(self, heartbeat_ns: _Optional[int] = ..., received_ns: _Optional[int] = ..., answered_ns: _Optional[int] = ..., now_ms: _Optional[int] = ...) -> None: ...

class Drain(_message.Message):
    __slots__ = ("reason", "reconnect_after_ms")
    REASON_FIELD_NUMBER: _ClassVar[int]
    RECONNECT_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    reason: str
    reconnect_after_ms: int
    def __init__(self, reason: _Optional[str] = ..., reconnect_after_ms: _Optional[int] = ...) -> None: ...

class ProducedRange(_message.Message):
    __slots__ = ("first", "last", "samples", "uncounted", "from_ms", "to_ms")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    UNCOUNTED_FIELD_NUMBER: _ClassVar[int]
    FROM_MS_FIELD_NUMBER: _ClassVar[int]
    TO_MS_FIELD_NUMBER: _ClassVar[int]
    first: int
    last: int
    samples: int
    uncounted: int
    from_ms: int
    to_ms: int
    def __init__(self, first: _Optional[int] = ..., last: _Optional[int] = ..., samples: _Optional[int] = ..., uncounted: _Optional[int] = ..., from_ms: _Optional[int] = ..., to_ms: _Optional[int] = ...) -> None: ...

class EpochProduced(_message.Message):
    __slots__ = ("epoch", "ranges")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    RANGES_FIELD_NUMBER: _ClassVar[int]
    epoch: bytes
    ranges: _containers.RepeatedCompositeFieldContainer[ProducedRange]
    def __init__(self, epoch: _Optional[bytes] = ..., ranges: _Optional[_Iterable[_Union[ProducedRange, _Mapping]]] = ...) -> None: ...

class Produced(_message.Message):
    __slots__ = ("epochs", "complete")
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    epochs: _containers.RepeatedCompositeFieldContainer[EpochProduced]
    complete: bool
    def __init__(self, epochs: _Optional[_Iterable[_Union[EpochProduced, _Mapping]]] = ..., complete: bool = ...) -> None: ...

class EpochRanges(_message.Message):
    __slots__ = ("epoch", "ranges")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    RANGES_FIELD_NUMBER: _ClassVar[int]
    epoch: bytes
    ranges: _containers.RepeatedCompositeFieldContainer[SequenceRange]
    def __init__(self, epoch: _Optional[bytes] = ..., ranges: _Optional[_Iterable[_Union[SequenceRange, _Mapping]]] = ...) -> None: ...

class Recall(_message.Message):
    __slots__ = ("epochs",)
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    epochs: _containers.RepeatedCompositeFieldContainer[EpochRanges]
    def __init__(self, epochs: _Optional[_Iterable[_Union[EpochRanges, _Mapping]]] = ...) -> None: ...
