"""Events of a vCenter go on exactly where they stopped, whatever is killed: each of the server's is spooled once."""

import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fixtures.stack import Program
from fixtures.vsphere import USER, Size, Vsphere, simulated
from fixtures.vsphere_client import finished, name_of, view
from fixtures.vsphere_client import session as plain_session
from fixtures.waiting import wait_for
from pyVmomi import vim

from satellite.records import scan
from shared.pb import events_pb2, uplink_pb2

KILLS: Final = int(os.environ.get("NEPHOSCOPE_FAULT_EVENT_KILLS", "4"))
SEED: Final = 20_261_126
POINTS: Final = tuple(f"spool.{place}.{side}" for place in ("append", "fdatasync") for side in ("before", "after"))
PATIENCE: Final = 40.0  # seconds from a start until events of now are in the spool


class Producer(threading.Thread):
    """Leaves an event at the server every few milliseconds; their keys are in the order of time."""

    def __init__(self, server: Vsphere, guest: str) -> None:
        super().__init__(daemon=True)
        self.keys: list[int] = []
        self._server, self._guest = server, guest
        self._may, self._rests, self._ends = threading.Event(), threading.Event(), False
        self._may.set()

    def run(self) -> None:
        while not self._ends:
            if self._may.is_set():
                self.keys.append(self._server.post_event("VmPoweredOnEvent", self._guest))
            else:
                self._rests.set()
            time.sleep(0.02)

    def pause(self) -> None:
        """Return once nothing is on its way."""
        self._rests.clear()
        self._may.clear()
        assert self._rests.wait(30)

    def go_on(self) -> None:
        self._may.set()

    def end(self) -> None:
        self._ends = True
        self.join(30)


def spooled(state: Path) -> Iterator[events_pb2.Event]:
    """Yield all events of all runs, as they lie on the disk."""
    for path in sorted(state.glob("spool/*/*.segment")):
        data = path.read_bytes()
        for record in scan(data).records:
            yield from uplink_pb2.Frame.FromString(data[record.payload]).events.events


def keys(state: Path) -> list[int]:
    """Return the server's keys of all events that are its own."""
    return [int(event.id.split("/")[1]) for event in spooled(state) if event.id.split("/")[1].isdigit()]


def program(folder: Path, server: Vsphere) -> Program:
    (folder / "satellite.toml").write_text(
        'site = "home"\nname = "local"\nuplinks = ["127.0.0.1:1"]\n'
        'certificate = "a"\nkey = "b"\ntrust = "c"\nstate = "state"\n'
        '[sources.vcenter]\ncollector = "vsphere"\ninterval = 20\nhost = "127.0.0.1"\n'
        f'port = {server.port}\nuser = "{USER}"\n'
        f'ca_file = "{server.ca_file}"\npassword_file = "{server.folder / "password"}"\n'
    )
    command = [sys.executable, "-m", "faults.vsphere_program", str(folder / "satellite.toml")]
    return Program("satellite", command, folder / "satellite.log", {})


def end_at(satellite: Program, point: str, chance: random.Random) -> None:
    """Let the satellite, which was started with that failpoint, be killed there, or at any instant."""
    if point:
        wait_for(lambda: not satellite.running(), PATIENCE, f"it passes {point}")
    else:
        time.sleep(chance.uniform(0, 1.0))
        satellite.kill()


def test_each_event_of_the_server_is_spooled_once_whatever_is_killed(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    state = tmp_path / "state"
    with simulated(Size(guests=2)) as server:
        satellite = program(tmp_path, server)
        with plain_session(server) as instance:
            guest = min(view(instance.content, vim.VirtualMachine).view, key=lambda each: each.name)
            task = str(finished(guest.Reset()).key)
        producer = Producer(server, name_of(guest))
        producer.start()
        wait_for(lambda: producer.keys, PATIENCE, "something happens")

        def caught_up() -> bool:
            assert satellite.running(), satellite.tail()
            return newest in keys(state)

        try:
            for number in range(KILLS):
                point = f"{chance.choice(POINTS)}={chance.randint(1, 6)}" if number % 2 else ""
                satellite.start(point)
                if not point:
                    newest = producer.keys[-1]
                    wait_for(caught_up, PATIENCE, "it goes on")
                if number % 4 == 2:  # the server as well, while the satellite runs
                    producer.pause()
                    server.kill()
                    server.start()
                    producer.go_on()
                    if number % 8 == 6:  # the same process goes on with the server as it is then
                        time.sleep(0.2)
                        newest = producer.keys[-1]
                        wait_for(caught_up, PATIENCE, "it finds the server again")
                end_at(satellite, point, chance)
            wait_for(lambda: len(producer.keys) > KILLS * 20, PATIENCE, "enough has happened")
            producer.end()
            newest = producer.keys[-1]
            satellite.start()
            wait_for(caught_up, PATIENCE, "all that happened is spooled")
        finally:
            producer.end()
            satellite.stop()
    found = keys(state)
    assert [key for key, times in Counter(found).items() if times > 1] == []
    # From the first that the server ever had on: also those of logins, of ours and of the test's.
    assert sorted(found) == list(range(min(found), max(found) + 1)), satellite.tail()
    assert set(producer.keys) <= set(found)
    ends = [event for event in spooled(state) if not event.id.split("/")[1].isdigit()]
    assert {event.type for event in ends} == {"task.finished"}
    assert task in {event.id.split("/")[2] for event in ends}
    assert len({event.id for event in ends}) == len(ends)
