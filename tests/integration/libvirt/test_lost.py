"""A connection that breaks: the next cycle says so, and opening again goes on where it was."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fixtures.libvirt import Libvirtd

from satellite.collector import SourceDeniedError, SourceError, SourceUnreachableError
from satellite.collectors.libvirt import LibvirtCollector
from satellite.collectors.libvirt.config import LibvirtConfig
from satellite.testing import LocalContext


class Link:
    """A socket in front of libvirtd's, which can be cut."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._writers: list[asyncio.StreamWriter] = []
        self._pumps: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(self._target)
        self._writers += [writer, far_writer]
        self._pumps |= {
            asyncio.create_task(self._pump(reader, far_writer)),
            asyncio.create_task(self._pump(far_reader, writer)),
        }

    async def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._pumps)
        self._writers, self._pumps = [], set()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
        except OSError:
            pass  # cut
        writer.close()


@asynccontextmanager
async def linked(libvirtd: Libvirtd, path: Path) -> AsyncIterator[Link]:
    link = Link(libvirtd.home / "run/libvirt-sock-ro")
    server = await asyncio.start_unix_server(link.accept, path)
    try:
        yield link
    finally:
        await link.cut()
        server.close()
        await server.wait_closed()


def test_a_cut_connection_is_unreachable_and_opens_again(libvirtd: Libvirtd) -> None:
    path = libvirtd.home / "link"

    async def body() -> None:
        async with linked(libvirtd, path) as link:
            uri = f"qemu+unix:///system?socket={path}"
            collector = LibvirtCollector(LibvirtConfig(uri=uri), LocalContext())
            await collector.open()
            before = await collector.discover()
            await link.cut()
            with pytest.raises(SourceUnreachableError, match="libvirtd running"):
                await collector.collect("fast")
            await collector.open()
            assert [r.key for r in (await collector.discover()).resources] == [r.key for r in before.resources]
            await collector.close()

    asyncio.run(body())


def test_a_socket_without_permission_is_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import libvirt

    def refused(uri: str) -> None:
        error = libvirt.libvirtError(f"authentication failed for {uri}")
        error.err = (libvirt.VIR_ERR_AUTH_FAILED, 0, "authentication failed", 0, "", None, None, 0, 0)
        raise error

    monkeypatch.setattr(libvirt, "openReadOnly", refused)
    collector = LibvirtCollector(LibvirtConfig(), LocalContext())

    async def body() -> SourceError:
        with pytest.raises(SourceDeniedError) as caught:
            await collector.open()
        (_, _, permission) = await collector.check()
        assert not permission.ok
        assert "group libvirt" in permission.detail
        return caught.value

    assert "group libvirt" in str(asyncio.run(body()))
