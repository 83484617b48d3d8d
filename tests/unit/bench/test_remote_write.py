"""Remote write bytes as another decoder sees them: protobuf's own, with the messages as the specification has them."""

import cramjam
import numpy as np
import pytest
from bench import copy_feeder, mix
from bench.remote_write import WriteRequests, compress
from bench.remote_write_feeder import bodies, labels
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

_FIELD = descriptor_pb2.FieldDescriptorProto
_FIELDS = {
    "Label": [("name", 1, _FIELD.TYPE_STRING, ""), ("value", 2, _FIELD.TYPE_STRING, "")],
    "Sample": [("value", 1, _FIELD.TYPE_DOUBLE, ""), ("timestamp", 2, _FIELD.TYPE_INT64, "")],
    "TimeSeries": [("labels", 1, _FIELD.TYPE_MESSAGE, "Label"), ("samples", 2, _FIELD.TYPE_MESSAGE, "Sample")],
    "WriteRequest": [("timeseries", 1, _FIELD.TYPE_MESSAGE, "TimeSeries")],
}


@pytest.fixture(scope="module")
def write_request() -> type[Message]:
    file = descriptor_pb2.FileDescriptorProto(name="remote.proto", package="prometheus", syntax="proto3")
    for message, fields in _FIELDS.items():
        declared = file.message_type.add(name=message)
        for name, number, kind, of in fields:
            repeated = kind == _FIELD.TYPE_MESSAGE
            declared.field.add(
                name=name,
                number=number,
                type=kind,
                label=_FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL,
                type_name=f".prometheus.{of}" if of else None,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("prometheus.WriteRequest"))


def decoded(write_request: type[Message], body: bytes) -> list[tuple[dict[str, str], list[tuple[int, float]]]]:
    message = write_request.FromString(body)
    assert message.SerializeToString() == body, "fields in another order, or of another length, than protobuf writes"
    return [
        ({label.name: label.value for label in series.labels}, [(one.timestamp, one.value) for one in series.samples])
        for series in message.timeseries  # type: ignore[attr-defined]
    ]


def test_labels_instants_and_values_arrive(write_request: type[Message]) -> None:
    series = [{"__name__": "up", "instance": "é" * 100}, {"instance": "b", "__name__": "system_cpu_utilization"}]
    times = np.array([1_700_000_000_000, 1_700_000_010_000, 4_000_000_000_000], np.int64)
    values = np.array([[0.1, -2.5, 1e300], [7.0, 8.0, 9.0]])
    body = WriteRequests(series, samples=3).encode(times, values)
    assert decoded(write_request, body) == [
        (series[0], list(zip(times.tolist(), values[0].tolist(), strict=True))),
        (series[1], list(zip(times.tolist(), values[1].tolist(), strict=True))),
    ]
    jittered = times + np.array([[0], [250]])
    assert decoded(write_request, WriteRequests(series, 3).encode(jittered, values))[1][1][0] == (
        1_700_000_000_250,
        7.0,
    )


def test_a_request_leaves_nothing_of_the_one_before(write_request: type[Message]) -> None:
    requests = WriteRequests([{"__name__": "up"}])
    requests.encode(np.array([2_000_000_000_000], np.int64), np.array([[np.pi]]))
    body = requests.encode(np.array([1_700_000_000_000], np.int64), np.array([[1.0]]))
    assert decoded(write_request, body) == [({"__name__": "up"}, [(1_700_000_000_000, 1.0)])]


def test_an_instant_that_takes_another_number_of_bytes_is_refused() -> None:
    requests = WriteRequests([{"__name__": "up"}])
    for instant in (1_000, 5_000_000_000_000):
        with pytest.raises(AssertionError, match="instants"):
            requests.encode(np.array([instant], np.int64), np.array([[1.0]]))


def test_bodies_hold_the_mix_prepared_or_not(write_request: type[Message]) -> None:
    start, guests = 1_700_000_000_000, 3
    found = bodies(2, guests, start, prepared=1)
    data = mix.generate(2, guests, copy_feeder.CYCLES)
    for cycle in range(2):
        series = decoded(write_request, bytes(cramjam.snappy.decompress_raw(next(found))))
        assert [one for one, _ in series] == labels(2, guests)
        values = np.concatenate([data.at(metric, cycle) for metric in mix.METRICS]).tolist()
        assert [samples for _, samples in series] == [[(start + cycle * mix.INTERVAL_MS, value)] for value in values]


def test_snappy_is_a_raw_block() -> None:
    assert bytes(cramjam.snappy.decompress_raw(compress(b"aaaaaaaa" * 100))) == b"aaaaaaaa" * 100
