"""What shrinks is deflated, and what does not, or is small, or is a batch goes as it is."""

import asyncio
import os
import zlib
from typing import Any

import numpy as np
import pytest
from fixtures.estate import estate

from satellite import deflating
from satellite.deflating import deflated
from satellite.inventory import InventoryTracker
from shared.columns import encode
from shared.pb import events_pb2, telemetry_pb2, uplink_pb2


def frame(**content: Any) -> uplink_pb2.SatelliteMessage:
    return uplink_pb2.SatelliteMessage(frame=uplink_pb2.Frame(sequence=1, **content))


@pytest.mark.parametrize("guests", [5, 1_000])
def test_an_inventory_comes_out_as_it_went_in(guests: int) -> None:
    (delta,) = InventoryTracker("estate").update(estate(guests), 1)
    message = frame(inventory=delta)
    small = asyncio.run(deflated(message))
    assert small.ByteSize() < message.ByteSize() / 2
    assert uplink_pb2.SatelliteMessage.FromString(zlib.decompress(small.deflated)) == message


def test_a_batch_is_never_looked_at() -> None:
    column = encode(np.zeros(5_000))
    column.data = bytes(10 * deflating.SMALLEST)
    message = frame(batch=telemetry_pb2.Batch(blocks=[telemetry_pb2.Block(values=column)]))
    assert asyncio.run(deflated(message)) is message


@pytest.mark.parametrize(
    "message",
    [
        frame(events=events_pb2.EventList(events=[events_pb2.Event(message="a" * (deflating.SMALLEST - 100))])),
        uplink_pb2.SatelliteMessage(hello=uplink_pb2.Hello(incarnation=os.urandom(10 * deflating.SMALLEST))),
    ],
    ids=["small", "does not shrink"],
)
def test_what_gains_nothing_goes_as_it_is(message: uplink_pb2.SatelliteMessage) -> None:
    assert asyncio.run(deflated(message)) is message
