"""From a real guest to PostgreSQL: satellite and gateway as processes, and the database says what virsh says."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from fixtures.libvirt import GUEST, Libvirtd
from fixtures.libvirt_counters import COUNTERS, Series
from fixtures.stack import stack, start_gateway
from fixtures.waiting import wait_for

from metaconsole.store import database, dictionary, query, resources
from metaconsole.store.scope import EVERYTHING
from shared.catalogue import state_code
from shared.model import State

_HOUR = 3_600_000


class Stored:
    """What the database holds of the guest."""

    def __init__(self, url: str) -> None:
        self.url = url

    def row(self) -> resources.ResourceRow | None:
        with database.connect(self.url) as connection:
            page = resources.list_resources(connection, EVERYTHING, resources.Filter(kind="guest"))
        return page.items[0] if page.items else None

    def state(self) -> tuple[str, str]:
        row = self.row()
        return ("", "") if row is None else (row.state, row.state_reason)

    def samples(self) -> Mapping[Series, list[tuple[int, float]]]:
        row, now = self.row(), _now_ms()
        if row is None:
            return {}
        with database.connect(self.url) as connection:
            series = dictionary.series_of(connection, EVERYTHING, [row.id])
            columns = query.read(connection, EVERYTHING, series, now - _HOUR, now + _HOUR)
        return {
            (one.metric, tuple(sorted(one.attributes.items()))): [
                (int(at), float(value)) for at, value in zip(*columns.of(one.series_id), strict=True)
            ]
            for one in series
        }

    def events(self) -> list[tuple[str, str]]:
        row = self.row()
        assert row is not None
        with database.connect(self.url) as connection:
            found, _ = resources.events(connection, EVERYTHING, row.id)
        return [(event.type, event.message) for event in found]

    def cycles_since(self, since_ms: int) -> list[int]:
        """Return the instants of the counters after a moment, once the first and the last counter have them."""
        found = self.samples()
        times = [{at for at, _ in found.get(series, ()) if at > since_ms} for series in COUNTERS]
        return sorted(set.intersection(*times))


@pytest.fixture
def stored(tmp_path: Path, libvirtd: Libvirtd) -> Iterator[Stored]:
    with stack(tmp_path) as made:
        start_gateway(made)
        readers = made.program("readers", "shared.cli", "metaconsole", "readers", "--home", str(made.folder))
        readers.start()
        config = made.satellite("lab", {"hypervisor": "libvirt"})
        with config.open("a", encoding="utf-8") as file:
            file.write(f'uri = "{libvirtd.uri}"\ninterval = 1\n')
        satellite = made.program("satellite", "shared.cli", "satellite", "run", "--config", str(config))
        satellite.start()
        yield Stored(made.database.url)
        for program in (readers, satellite):
            assert program.running(), program.tail()


def test_the_database_says_what_virsh_says(libvirtd: Libvirtd, booted: str, stored: Stored) -> None:
    wait_for(lambda: stored.cycles_since(0), 15, "all counters of the guest are in the database")
    row = stored.row()
    assert row is not None
    assert row.name == GUEST
    assert {"type": "instance_uuid", "value": booted} in [
        {name: claim[name] for name in ("type", "value")} for claim in row.identities
    ]
    _running(libvirtd, stored)
    libvirtd.virsh("suspend", GUEST)
    wait_for(lambda: stored.state() == ("paused", "by user"), 10, "the guest is paused in the database")
    _standing_still(stored)
    libvirtd.virsh("destroy", GUEST)
    wait_for(lambda: stored.state() == ("stopped", "destroyed"), 10, "the guest is stopped in the database")
    libvirtd.virsh("start", GUEST)
    wait_for(lambda: stored.state() == ("running", "booted"), 10, "the guest runs in the database")
    told = {
        ("guest.suspended", f"guest {GUEST} suspended: paused"),
        ("guest.stopped", f"guest {GUEST} stopped: destroyed"),
        ("guest.started", f"guest {GUEST} started: booted"),
    }
    wait_for(lambda: told <= set(stored.events()), 10, "the events are in the database")


def _running(libvirtd: Libvirtd, stored: Stored) -> None:
    """Each counter of a cycle lies between what virsh said before it and what it says after."""
    before, since = libvirtd.domstats(), _now_ms()
    wait_for(lambda: stored.cycles_since(since), 10, "a cycle after virsh was asked is in the database")
    after, found = libvirtd.domstats(), stored.samples()
    at = stored.cycles_since(since)[0]
    for series, (name, unit) in COUNTERS.items():
        value = dict(found[series])[at]
        low, high = int(before[name]) / unit, int(after[name]) / unit
        assert low <= value <= high, f"{series}: {value} is not within {low} … {high} of {name}"
    assert dict(found["resource.state", ()])[at] == state_code(State.RUNNING)


def _standing_still(stored: Stored) -> None:
    """Two cycles of a suspended guest are equal in every counter.

    Not always the first two: on a busy machine QEMU's threads finish what they had under way after the guest stands.
    """
    since, moved = _now_ms(), [""]

    def equal() -> bool:
        cycles = stored.cycles_since(since)[-2:]
        if len(cycles) < 2:
            return False
        found = {series: dict(values) for series, values in stored.samples().items()}
        assert {found["resource.state", ()][at] for at in cycles} == {state_code(State.PAUSED)}
        moved[:] = [str(series) for series in COUNTERS if found[series][cycles[0]] != found[series][cycles[1]]]
        return not moved

    try:
        wait_for(equal, 15, "two cycles of the suspended guest are equal")
    except AssertionError as error:
        raise AssertionError(f"{error}; these counters still move: {', '.join(moved)}") from error


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
