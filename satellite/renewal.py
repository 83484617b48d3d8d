"""Renews the satellite's certificate long before it ends, or when the metaconsole asks for it.

The one promise: the certificate of before works until the new one is on the disk, and whatever fails is tried again.
"""

import asyncio
import datetime as dt
import logging
import random
from collections.abc import Callable, Sequence
from typing import Final

import grpc
import grpc.aio

from satellite.certificate import CertificateError, CertificateFiles, Request
from satellite.channels import ChannelFactory
from shared.certificates import Leaf
from shared.pb import enrolment_pb2, enrolment_pb2_grpc

_log = logging.getLogger(__name__)
CALL_SECONDS: Final = 20.0
JITTER: Final = 0.1  # of two thirds of the life: a fleet that joined at once does not renew at once
LEAST_SECONDS: Final = 2.0  # between two renewals
_LOOK_SECONDS: Final = 600.0  # the wall clock may jump while we sleep, and the files may be replaced
_RETRY_SECONDS: Final = (30.0, 3600.0)


class RenewalError(Exception):
    """The certificate was not renewed; the sentence says why."""


class Renewal:
    """Keeps the certificate fresh for as long as its task runs."""

    def __init__(
        self,
        files: CertificateFiles,
        addresses: Sequence[str],
        channels: ChannelFactory,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        """Use the uplink's addresses in their order."""
        self._files, self._addresses, self._channels = files, list(addresses), channels
        self._now = now
        self._asked = asyncio.Event()
        self._random = random.Random()  # noqa: S311 - jitter is no secret
        self._told = ""

    def ask(self) -> None:
        """Renew soon, whatever the certificate's age."""
        self._asked.set()

    async def run(self, renewed: Callable[[str], None]) -> None:
        """Renew when it is time, until cancelled; renewed is told after each time why the session is to move."""
        failures = 0
        while True:
            await self._until_due()
            try:
                await self._renew()
            except (RenewalError, CertificateError, OSError) as error:
                failures += 1
                self._tell(str(error))
                first, longest = _RETRY_SECONDS
                await asyncio.sleep(self._random.uniform(0.5, 1.0) * min(first * 2.0 ** min(failures, 16), longest))
            else:
                failures, self._told = 0, ""
                renewed("the certificate is renewed")
                await asyncio.sleep(LEAST_SECONDS)

    async def _until_due(self) -> None:
        jitter, known = 0.0, None
        while not self._asked.is_set():
            leaf = await asyncio.to_thread(self._files.leaf)
            if leaf != known:
                jitter, known = self._random.uniform(-JITTER, JITTER), leaf
            wait = _LOOK_SECONDS if leaf is None else (leaf.renew_at(jitter) - self._now()).total_seconds()
            if wait <= 0 and not self._files.unusable():
                return
            try:
                async with asyncio.timeout(min(max(wait, LEAST_SECONDS), _LOOK_SECONDS)):
                    await self._asked.wait()
            except TimeoutError:
                continue

    async def _renew(self) -> None:
        self._asked.clear()
        before = await asyncio.to_thread(self._files.leaf)
        request = Request()
        answer = await self._call(request)
        leaf = request.accept(answer)
        if before is None or leaf.identity != before.identity:
            raise RenewalError("the metaconsole certified another identity than ours")
        await asyncio.to_thread(self._files.replace, request, answer)
        _log.info("the certificate is renewed: it ends on %s", _day(leaf))

    async def _call(self, request: Request) -> enrolment_pb2.Certificate:
        message = enrolment_pb2.RenewRequest(signing_request_der=request.der)
        why = ""
        for address in self._addresses:
            channel = self._channels(address)
            try:
                stub = enrolment_pb2_grpc.EnrolmentStub(channel)  # type: ignore[no-untyped-call]
                answer: enrolment_pb2.Certificate = await stub.Renew(message, timeout=CALL_SECONDS)
            except grpc.aio.AioRpcError as error:
                why = f"{address}: {_sentence(error)}"
            else:
                return answer
            finally:
                await channel.close()
        raise RenewalError(why)

    def _tell(self, why: str) -> None:
        leaf = self._files.leaf()
        if why != self._told:
            self._told = why
            ends = f"; it ends on {_day(leaf)}" if leaf else ""
            _log.warning("the certificate was not renewed, it is tried again%s: %s", ends, why)


def _sentence(error: grpc.aio.AioRpcError) -> str:
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return "the metaconsole is too old to renew certificates: upgrade it"
    return f"{error.code().name}: {error.details()}"


def _day(leaf: Leaf) -> str:
    return f"{leaf.ends:%Y-%m-%d %H:%M} UTC"
