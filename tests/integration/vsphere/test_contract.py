"""The collector `vsphere` holds the contract: on a simulated vCenter with everything in it, and on an ESXi host."""

from collections.abc import Iterator

import pytest
from fixtures.vsphere import USER, Size, Vsphere, simulated

from satellite.collectors.vsphere import VsphereCollector
from satellite.collectors.vsphere.config import VsphereConfig
from satellite.testing import CollectorContract, LocalContext


def collector(server: Vsphere, **changed: object) -> VsphereCollector:
    usual = {"host": "127.0.0.1", "port": server.port, "user": USER, "ca_file": str(server.ca_file)}
    secret = {"password_file": str(server.folder / "password")}
    return VsphereCollector(VsphereConfig.model_validate(usual | secret | changed), LocalContext())


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
