"""The collector `vsphere` holds the contract: on a simulated vCenter with everything in it, and on an ESXi host."""

from collections.abc import Iterator

import pytest
from fixtures.vsphere import Size, Vsphere, simulated
from fixtures.vsphere_following import collector

from satellite.collectors.vsphere import VsphereCollector
from satellite.testing import CollectorContract


@pytest.fixture(scope="module")
def esxi() -> Iterator[Vsphere]:
    with simulated(Size(guests=3), esx=True, version="") as server:
        yield server


class TestVcenter(CollectorContract):
    @pytest.fixture(autouse=True)
    def connected(self, vcenter: Vsphere) -> None:
        self.server = vcenter

    def make(self) -> VsphereCollector:
        return collector(self.server)

    def make_unreachable(self) -> VsphereCollector:
        return collector(self.server, port=1)


class TestEsxi(CollectorContract):
    @pytest.fixture(autouse=True)
    def connected(self, esxi: Vsphere) -> None:
        self.server = esxi

    def make(self) -> VsphereCollector:
        return collector(self.server)
