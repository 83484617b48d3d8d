"""The greeting of a session: what is offered, and what the metaconsole's answer may ask for before anything is sent.

The one promise: after the metaconsole was restored, or retired an epoch, no frame goes out before the spool has
followed on the disk; the session ends for it, and the next one offers what waits since.
"""

import asyncio
import os
from typing import Final, Protocol

from satellite.spool import Spool
from satellite.stream import SessionEndedError
from shared import __version__
from shared.pb import uplink_pb2
from shared.protocol import PROTOCOL

NONCE: Final = os.urandom(16)  # of this process
_OFFERED_EPOCHS: Final = 900
_OFFERED_RANGES: Final = 15_000  # in all; what is not offered is sent all the same, and found to be taken


class Counter(Protocol):
    """What a session needs of satellite.uplink.SessionState."""

    incarnation: bytes

    def next_counter(self) -> int:
        """Return the session's number, stored."""
        ...

    def set_incarnation(self, incarnation: bytes) -> None:
        """Store the metaconsole's incarnation."""
        ...


def hello(spool: Spool, counter: int, incarnation: bytes, trust_sha256: bytes, now_ms: int) -> uplink_pb2.Hello:
    """Return the greeting of the session with this number: it offers what waits, of the present run first."""
    told = uplink_pb2.Hello(
        version=__version__,
        protocol_major=PROTOCOL[0],
        protocol_minor=PROTOCOL[1],
        epoch=spool.current.id,
        process_nonce=NONCE,
        session_counter=counter,
        now_ms=now_ms,
        incarnation=incarnation,
        trust_sha256=trust_sha256,
    )
    room = _OFFERED_RANGES
    old = [epoch for epoch in spool.epochs[:-1] if not epoch.drained][:_OFFERED_EPOCHS]
    for epoch in (spool.current, *old):
        ranges = list(epoch.offered())[:room]
        room -= len(ranges)
        offer = told.epochs.add(
            epoch=epoch.id, next_sequence=epoch.next_sequence, series_through=epoch.definitions.through
        )
        offer.unsent.extend(uplink_pb2.SequenceRange(first=first, last=last) for first, last in ranges)
    return told


async def follow_incarnation(spool: Spool, state: Counter, incarnation: bytes) -> None:
    """Offer everything again to a metaconsole that was restored. Raises SessionEndedError where that is needed."""
    if incarnation == state.incarnation:
        return
    # What was never acknowledged is offered anyway: at first contact, or where nothing was delivered yet.
    forgets = not spool.loaded.is_set() or any(epoch.taken for epoch in spool.epochs)
    if forgets:
        spool.forget_acknowledged()
        await spool.loaded.wait()  # what is read from now on has to be forgotten on the disk, too
        await spool.sweep()
    await asyncio.to_thread(state.set_incarnation, incarnation)
    if forgets:
        raise SessionEndedError(
            "the metaconsole was restored: all frames that are still here are offered again",
            expected=True,
            reconnect_after=0.0,
        )


async def renew_retired(spool: Spool, retired: set[bytes]) -> None:
    """Let frames of retired epochs go on under new ones. Raises SessionEndedError where there are any."""
    found = [epoch for epoch in spool.epochs if epoch.id in retired]
    for epoch in found:
        await spool.renew(epoch)
    if found:
        raise SessionEndedError(
            "the metaconsole retired an epoch: its frames go on under a new one", expected=True, reconnect_after=0.0
        )
