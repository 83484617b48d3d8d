"""Many sessions in one process, each over a connection of its own with a certificate of its own, as light as can be.

`python -m bench.session_feeder PORT CREDENTIALS PROGRESS RESULT GUESTS CYCLES INTERVAL RATE`, until SIGTERM. With an
interval of 0 a session sends as fast as it is answered. RESULT becomes an array of (session, sent, acknowledged) in
monotonic seconds, one row a batch; a batch without an answer has infinity there. PROGRESS holds samples acknowledged,
sessions that were welcomed and sessions that ended.
"""

import asyncio
import contextlib
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
import numpy as np

from bench import credentials, progress
from bench.frames import Frames
from shared import tls
from shared.columns import I64
from shared.pb import uplink_pb2
from shared.protocol import PROTOCOL

METHOD: Final = "/nephoscope.v1.Uplink/Session"
COUNTS: Final = 3  # of a process in PROGRESS
SAMPLES, WELCOMED, ENDED = range(COUNTS)
IN_FLIGHT: Final = 4  # batches of a session that sends as fast as it can
BEAT_SECONDS: Final = 5.0
AGAIN_SECONDS: Final = (0.2, 1.0)  # as satellite/uplink.py begins


class Load:
    """What the sessions of this process share."""

    def __init__(self, address: str, trust: str, frames: Frames, interval: float, counts: I64) -> None:
        self.address, self.trust, self.frames, self.interval, self.counts = address, trust, frames, interval, counts
        self.acknowledged: list[tuple[int, float, float]] = []

    def channel(self, member: credentials.Credentials) -> grpc.aio.Channel:
        """Return a channel with a connection of its own."""
        pair = grpc.ssl_channel_credentials(self.trust.encode(), member.key.encode(), member.certificate.encode())
        options = [
            *tls.CHANNEL_OPTIONS,
            ("grpc.ssl_target_name_override", tls.METACONSOLE_NAME),
            ("grpc.use_local_subchannel_pool", 1),
        ]
        return grpc.aio.secure_channel(self.address, pair, options=options)


class SessionOverError(Exception):
    """The gateway ended the session, or did not keep to the contract."""


class Session:
    """One satellite as far as the gateway can tell: greeting, heartbeats and batches out, acknowledgements in."""

    def __init__(self, load: Load, number: int, member: credentials.Credentials) -> None:
        self._load, self._number, self._member = load, number, member
        self._epoch = bytes.fromhex(member.epoch)
        self._sequence = 0
        self._call: Any = None
        self._writing = asyncio.Lock()  # a call takes one write at a time
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self.waiting: dict[int, float] = {}  # sequence -> when it was sent

    async def run(self) -> None:
        """Serve until cancelled; says why when the gateway ends it. Until it is welcomed it tries again, as they do."""
        while True:
            if await self._served():
                return
            await asyncio.sleep(random.uniform(*AGAIN_SECONDS))

    async def _served(self) -> bool:
        """Open a session; tell whether it was welcomed."""
        welcomed = False
        try:
            async with self._load.channel(self._member) as channel:
                self._call = channel.stream_stream(METHOD)()
                await self._greet()
                welcomed = True
                self._load.counts[WELCOMED] += 1
                async with asyncio.TaskGroup() as group:
                    for part in (self._receive(), self._beat(), self._send()):
                        group.create_task(part)
        except* (grpc.aio.AioRpcError, asyncio.InvalidStateError, SessionOverError) as errors:
            if welcomed:
                print(f"session {self._number} ended: {errors.exceptions[0]}", file=sys.stderr)
                self._load.counts[ENDED] += 1
        return welcomed

    async def _greet(self) -> None:
        offer = uplink_pb2.EpochOffer(epoch=self._epoch, next_sequence=1)
        hello = uplink_pb2.Hello(
            version="0", protocol_major=PROTOCOL[0], protocol_minor=PROTOCOL[1], epoch=self._epoch,
            process_nonce=bytes(16), session_counter=1,
            epochs=[offer], now_ms=time.time_ns() // 1_000_000,
        )  # fmt: skip
        await self._write(uplink_pb2.SatelliteMessage(hello=hello).SerializeToString())
        if not (await self._read()).HasField("welcome"):
            raise SessionOverError("the first answer is no welcome")

    async def _send(self) -> None:
        interval = self._load.interval
        due = time.monotonic()
        while True:
            if interval:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                due += interval
            else:
                await self._room.acquire()
            self._sequence += 1
            frame = self._load.frames.frame(self._epoch, self._sequence, time.time_ns() // 1_000_000)
            self.waiting[self._sequence] = time.monotonic()
            await self._write(frame)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            beat = uplink_pb2.Heartbeat(now_ms=time.time_ns() // 1_000_000, frames_produced=self._sequence)
            await self._write(uplink_pb2.SatelliteMessage(heartbeat=beat).SerializeToString())

    async def _receive(self) -> None:
        while True:
            message = await self._read()
            now = time.monotonic()
            if message.ack.refused:
                raise SessionOverError(f"a frame was refused: {message.ack.refused[0].detail}")
            for part in message.ack.taken:
                for sequence in range(part.first, part.last + 1):
                    self._load.acknowledged.append((self._number, self.waiting.pop(sequence), now))
                    self._load.counts[SAMPLES] += self._load.frames.samples
                    self._room.release()

    async def _write(self, message: bytes) -> None:
        async with self._writing:
            await self._call.write(message)

    async def _read(self) -> uplink_pb2.MetaconsoleMessage:
        message = await self._call.read()
        if message is grpc.aio.EOF:
            raise SessionOverError(f"{await self._call.code()} {await self._call.details()}")
        return uplink_pb2.MetaconsoleMessage.FromString(message)


async def hold(load: Load, members: list[credentials.Credentials], rate: float, result: Path) -> None:
    """Open so many sessions a second, hold them until SIGTERM, then write what became of every batch."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    sessions = [Session(load, number, member) for number, member in enumerate(members)]
    tasks = []
    for session in sessions:
        tasks.append(asyncio.create_task(session.run()))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 1 / rate)
    await stop.wait()
    open_still = [(number, sent, np.inf) for number, one in enumerate(sessions) for sent in one.waiting.values()]
    np.save(result, np.array(load.acknowledged + open_still, np.float64).reshape(-1, 3))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def main(port: str, file: str, counts: str, result: str, guests: str, cycles: str, interval: str, rate: str) -> None:
    """Prepare the frames, then hold the sessions."""
    members, trust = credentials.read(Path(file))
    frames = Frames(0, int(guests), int(cycles), int(float(interval) * 1000) or 10_000)
    load = Load(f"127.0.0.1:{port}", trust, frames, float(interval), progress.join(Path(counts)))
    asyncio.run(hold(load, members, float(rate), Path(result)))


if __name__ == "__main__":
    main(*sys.argv[1:])
