"""The collector `libvirt` holds the contract: on the test driver, and on a real libvirtd with a running guest."""

import pytest
from fixtures.libvirt import Libvirtd

from satellite.collectors.libvirt import LibvirtCollector
from satellite.collectors.libvirt.config import LibvirtConfig
from satellite.testing import CollectorContract, LocalContext


def collector(uri: str) -> LibvirtCollector:
    return LibvirtCollector(LibvirtConfig(uri=uri), LocalContext())


class TestDriver(CollectorContract):
    def make(self) -> LibvirtCollector:
        return collector("test:///default")

    def make_unreachable(self) -> LibvirtCollector:
        return collector("qemu+unix:///system?socket=/nowhere/libvirt-sock-ro")


class TestQemu(CollectorContract):
    guest, uri = "", ""

    @pytest.fixture(autouse=True)
    def connected(self, libvirtd: Libvirtd, running: str) -> None:
        self.guest, self.uri = running, libvirtd.uri

    def make(self) -> LibvirtCollector:
        return collector(self.uri)
