"""The group `vsphere`: the real satellite at a simulated vCenter, with its spool, until and after it is in its stride.

first: from the start of the process until the whole inventory and the first realtime cycle are in the spool. cycle: the
median of the realtime cycles after that, from asking to the spool. calls: all that vCenter is asked, by all plans and
the long poll, a realtime cycle.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

import psutil
from fixtures.stack import Program, free_port
from fixtures.vsphere import USER, Size, Vsphere, simulated
from fixtures.waiting import wait_for

from bench.findings import Findings
from bench.plan import Plan
from bench.vsphere_satellite import Note
from metaconsole import pki
from shared.tls import SatelliteIdentity

PLAN: Final = "realtime"
_FIRST_SECONDS: Final = 200.0
_RSS_MIB: Final = 400  # of the issue


class Satellite:
    """The satellite's process, and what it has noted."""

    def __init__(self, server: Vsphere, folder: Path, plan: Plan) -> None:
        self._notes = folder / "notes"
        self._notes.touch()
        self._program = Program(
            "satellite",
            [sys.executable, "-m", "bench.vsphere_satellite", str(_configured(server, folder, plan)), str(self._notes)],
            folder / "satellite.log",
            {},
        )

    def start(self) -> None:
        """Start it, and note when."""
        self.started = time.monotonic()
        self._program.start()
        self.process = psutil.Process(self._program.pid)

    def stop(self) -> None:
        """End it."""
        self._program.stop()

    def notes(self) -> list[Note]:
        """Return what is noted so far."""
        return [Note(**json.loads(line)) for line in self._notes.read_bytes().split(b"\n")[:-1]]

    def wait_first(self, objects: int) -> None:
        """Wait for the first sight of so many objects."""
        wait_for(lambda: self._seen(objects), _FIRST_SECONDS, "the first sight")
        assert self._program.running(), self._program.tail()

    def wait(self, found: int, seconds: float) -> None:
        """Wait for so many realtime cycles."""
        wait_for(lambda: self._done(found), seconds, f"{found} realtime cycles: {self._program.tail()}")
        assert self._program.running(), self._program.tail()

    def _seen(self, objects: int) -> bool:
        time.sleep(0.2)
        return first(self.notes(), objects) is not None or not self._program.running()

    def _done(self, found: int) -> bool:
        time.sleep(0.5)  # reading the notes is not to take part in what is measured
        return len(cycles(self.notes())) >= found or not self._program.running()


def cycles(notes: Sequence[Note]) -> list[float]:
    """Return the seconds of the realtime cycles in their order, from the asking to the last frame in the spool."""
    ends: dict[int, int] = {}
    for note in notes:
        if note.plan == PLAN:
            ends[note.began] = note.at
    return [(end - began) / 1e9 for began, end in ends.items()]


def first(notes: Sequence[Note], objects: int) -> float | None:
    """Return when (monotonic seconds) so many objects and the first realtime cycle were in the spool; None before."""
    began = next((note.began for note in notes if note.plan == PLAN), None)
    known, told = 0, None
    for note in notes:
        known += note.resources
        if told is None and known >= objects:
            told = note.at
    if told is None or began is None:
        return None
    return max(told, *(note.at for note in notes if (note.plan, note.began) == (PLAN, began))) / 1e9


def run(plan: Plan) -> Findings:
    """Measure and return what was found."""
    found = Findings()
    clusters, hosts, guests = plan.vsphere
    size = Size(clusters=clusters, hosts=hosts, guests=guests, datastores=clusters, pools=2, portgroups=clusters)
    for _ in range(plan.runs):
        with (
            tempfile.TemporaryDirectory(prefix="nephoscope-bench-") as scratch,
            simulated(size, vsan=True, start_seconds=120) as server,
        ):
            satellite = Satellite(server, Path(scratch), plan)
            try:
                _measure(found, server, satellite, plan)
            finally:
                satellite.stop()
    return found


def _measure(found: Findings, server: Vsphere, satellite: Satellite, plan: Plan) -> None:
    clusters, hosts, guests = plan.vsphere
    objects = clusters * (hosts + guests)
    satellite.start()
    satellite.wait_first(objects)
    satellite.wait(1, plan.vsphere_interval)
    reached = first(satellite.notes(), objects)
    assert reached is not None
    server.traffic(reset=True)
    began, spent = time.monotonic(), satellite.process.cpu_times()
    satellite.wait(1 + plan.vsphere_cycles, (plan.vsphere_cycles + 1) * plan.vsphere_interval)
    minutes, busy = (time.monotonic() - began) / 60, satellite.process.cpu_times()
    asked, notes = server.traffic(), satellite.notes()
    steady = cycles(notes)[1:]
    calls = sum(each["calls"] for each in asked.values()) / len(steady)
    found.found(
        {"vsphere.first_s": reached - satellite.started, "vsphere.cycle_s": statistics.median(steady)}
        | {"vsphere.calls": calls}
    )
    rss = _highest_rss(satellite.process) / 2**20
    cpu = (busy.user + busy.system - spent.user - spent.system) / minutes
    samples = [note.samples for note in notes if note.plan == PLAN]
    found.say(
        f"{clusters * guests} guests on {clusters * hosts} hosts; {len(steady)} steady cycles of {PLAN} every "
        f"{plan.vsphere_interval:g} s, {sum(samples) / len(cycles(notes)):,.0f} samples each; {_shares(asked)}"
    )
    found.say(
        f"satellite: {rss:.0f} MiB at the highest ({'within' if rss <= _RSS_MIB else 'above'} {_RSS_MIB}), "
        f"{cpu:.1f} s of CPU a minute, {100 * cpu / 60:.1f} % of a core"
    )
    gaps = [gap for note in notes for gap in note.gaps]
    found.say(f"gaps: {len(gaps)}{': ' + '; '.join(gaps[:3]) if gaps else ''}")


def _shares(asked: Mapping[str, Mapping[str, float]]) -> str:
    """Return what vCenter was asked for, the dearest first."""
    dearest = sorted(asked.items(), key=lambda item: -item[1]["seconds"])
    return ", ".join(
        f"{method} {each['calls']:.0f} times, {each['bytes_out'] / 2**20:.1f} MiB, {each['seconds']:.1f} s"
        for method, each in dearest[:6]
    )


def _highest_rss(process: psutil.Process) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def _configured(server: Vsphere, folder: Path, plan: Plan) -> Path:
    """Write a satellite's folder, whose metaconsole is away: what is measured ends at the spool."""
    (folder / "pki").mkdir()
    pki.renew_gateway(folder / "pki", datetime.now(UTC))
    pki.renew_satellite(folder / "pki", folder, SatelliteIdentity(1, uuid4()), datetime.now(UTC))
    lines = [
        'site = "bench"', 'name = "edge"', f'uplinks = ["127.0.0.1:{free_port()}"]', 'certificate = "satellite.pem"',
        'key = "satellite.key"', 'trust = "trust.pem"', 'state = "state"',
        "[sources.vcenter]", 'collector = "vsphere"', 'host = "127.0.0.1"', f"port = {server.port}", f'user = "{USER}"',
        f'password_file = "{server.folder / "password"}"', f'ca_file = "{server.ca_file}"',
        f"interval = {plan.vsphere_interval}", f"history_interval = {max(60.0, 2 * plan.vsphere_interval)}",
    ]  # fmt: skip
    config = folder / "satellite.toml"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return config
