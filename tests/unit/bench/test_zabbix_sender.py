"""The sender protocol of Zabbix: frames, and answers of a server on a socket."""

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from bench import copy_feeder, mix
from bench.zabbix_feeder import VALUES, host, requests
from bench.zabbix_sender import SenderError, content_length, frame, request, send


def content(framed: bytes) -> bytes:
    assert framed[:5] == b"ZBXD\x01"
    length, reserved = struct.unpack("<II", framed[5:13])
    assert (length, reserved) == (len(framed) - 13, 0)
    return framed[13:]


def test_a_request_is_framed_json() -> None:
    framed = request([("web-1", "system.cpu.load", 0.5, 1_700_000_000), ("web-2", "net.in", 2**63 - 1, 1_700_000_001)])
    assert json.loads(content(framed)) == {
        "request": "sender data",
        "data": [
            {"host": "web-1", "key": "system.cpu.load", "value": "0.5", "clock": 1_700_000_000, "ns": 0},
            {"host": "web-2", "key": "net.in", "value": "9223372036854775807", "clock": 1_700_000_001, "ns": 0},
        ],
    }


def test_the_head_of_an_answer_is_checked() -> None:
    assert content_length(frame(b"x" * 300)[:13]) == 300
    for head in (b"", b"ZBXD", b"HTTP/1.1 400 ", frame(b"")[:12], b"ZBXD\x01" + struct.pack("<II", 2**31, 0)):
        with pytest.raises(SenderError):
            content_length(head)


@contextmanager
def answering(answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Serve one connection: read a frame, answer, close."""
    heard: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as stream:
            head = stream.read(13)
            heard.append(head + stream.read(content_length(head)))
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], heard
        thread.join(30)
        assert not thread.is_alive()


def test_what_the_server_took_is_read_from_its_answer() -> None:
    info = {"response": "success", "info": "processed: 2; failed: 1; total: 3; seconds spent: 0.000055"}
    sent = request([("a", "b", 1, 1_700_000_000)])
    with answering(frame(json.dumps(info).encode())) as (port, heard):
        assert send(port, sent) == (2, 1)
    assert heard == [sent]


def test_another_answer_is_an_error() -> None:
    with answering(frame(b'{"response":"failed"}')) as (port, _), pytest.raises(SenderError, match="failed"):
        send(port, request([]))


def test_requests_hold_the_mix_prepared_or_not() -> None:
    guests, start = 30, 1_700_000_000_000
    found = requests(1, guests, start, prepared=1)
    data = mix.generate(1, guests, copy_feeder.CYCLES)
    for cycle in range(2):
        values = json.loads(content(next(found)))["data"]
        assert len(values) == len(mix.METRICS) * guests <= VALUES
        assert {value["clock"] for value in values} == {(start + cycle * mix.INTERVAL_MS) // 1000}
        assert [(value["host"], value["key"], value["value"]) for value in values] == [
            (host(1, guest), metric, str(value))
            for metric in mix.METRICS
            for guest, value in enumerate(data.at(metric, cycle).tolist())
        ]
