"""The collector `host` holds the contract, on this machine."""

from satellite.collectors.host import HostCollector
from satellite.collectors.host.config import HostConfig
from satellite.testing import CollectorContract, LocalContext


class TestHost(CollectorContract):
    def make(self) -> HostCollector:
        return HostCollector(HostConfig(), LocalContext())
