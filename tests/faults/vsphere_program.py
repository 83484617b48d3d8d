"""The satellite of the test of events: the real one, with the real collector and an uplink that nobody answers.

`python -m faults.vsphere_program CONFIG`
"""

import sys
from pathlib import Path

import grpc.aio

import satellite.run
from satellite.collector import Collector
from satellite.collectors.vsphere import VsphereCollector

if __name__ == "__main__":
    collectors: dict[str, type[Collector]] = {"vsphere": VsphereCollector}
    sys.exit(satellite.run.run(Path(sys.argv[1]), collectors, channels=grpc.aio.insecure_channel))
