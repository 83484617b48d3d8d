"""Clocks that are set while everything runs: the satellite's by ±10 min, then the metaconsole's.

Nothing is lost, nothing refused, nothing shifted, no plan stalls; and it is told.
"""

import time
from pathlib import Path
from typing import Any, Final

import psycopg
from fixtures import accounting
from fixtures.stack import Program, Stack, stack
from fixtures.waiting import SLACK, wait_for

from faults.settling import judge_all, settle
from faults.turned_program import Turned
from shared.pb import telemetry_pb2

TEN_MINUTES: Final = 600_000
GOES_ON: Final = 3  # batches; two plans make three a second
SECONDS: Final = 5


def test_clocks_of_either_side_are_set_under_load(tmp_path: Path) -> None:
    with stack(tmp_path) as made:
        ledger, config = tmp_path / "ledger", made.satellite("drifter", {"alpha": "ledger"})
        ours, theirs = Turned(tmp_path / "satellite.clock"), Turned(tmp_path / "gateway.clock")
        satellite = made.program(
            "satellite", "faults.turned_program", str(ours.path), "faults.satellite_program", str(config), str(ledger)
        )
        gateway = turned_gateway(made, theirs)
        gateway.start()
        satellite.start()
        goes_on(made, "both clocks are right")
        for ahead in (TEN_MINUTES, -TEN_MINUTES, 0):
            ours.set(ahead)
            goes_on(made, f"the satellite's clock is {ahead} ms ahead")
        wait_for(lambda: judged(made)[-1:] == ["ok"], 10, "the alert clears")
        assert "critical" in judged(made)
        of_satellite = rows(made, "SELECT last_ms, clock_offset_ms, received_at FROM log WHERE kind = 1")
        for ahead in (-TEN_MINUTES, TEN_MINUTES):
            theirs.set(ahead)
            goes_on(made, f"the metaconsole's clock is {ahead} ms ahead")
        settle(made, {config: satellite}, ledger)
        judge_all(made.database.url, ledger)
        assert rows(made, "SELECT sequence, reason, detail FROM quarantine") == []
        check_offsets(of_satellite)
        log = accounting.read_log(made.database.url)
        set_by = [event.attributes["clock.step_ms"].integer for event in log.events if event.type == "clock.set"]
        assert [round(step, -3) for step in set_by] == [TEN_MINUTES, -2 * TEN_MINUTES, TEN_MINUTES]
        jumps = [gap for gap in log.gaps if gap.reason == telemetry_pb2.GAP_REASON_SKEW]
        assert {(gap.plan, round(gap.to_ms - gap.from_ms, -4)) for gap in jumps} <= {
            (plan, TEN_MINUTES) for plan in ("fast", "slow")
        }
        assert len(jumps) == 4, "each plan tells of each jump ahead once"


def turned_gateway(made: Stack, clock: Turned) -> Program:
    """Return the stack's gateway under a clock of its own."""
    plain = made.gateway()
    options = plain.command[plain.command.index("metaconsole") :]
    turned = made.program("gateway", "faults.turned_program", str(clock.path), "nephoscope", *options)
    made.programs.remove(plain)
    return turned


def goes_on(made: Stack, what: str) -> None:
    """Return once some batches were stored that were stamped and sent from now on."""
    begun = time.time()
    newer = "SELECT count(*) FROM log WHERE kind = 1 AND received_at > to_timestamp(%s)"

    def enough() -> bool:
        with psycopg.connect(made.database.url) as connection:
            ((count,),) = connection.execute(newer, (begun + 0.3,)).fetchall()
        return int(count) >= GOES_ON

    wait_for(enough, SECONDS, what)


def check_offsets(stored: list[tuple[Any, ...]]) -> None:
    """Check that each row has the offset of the clock that stamped it, and its instants as that clock had them."""
    seen = set()
    for last_ms, offset_ms, received_at in stored:
        offset = round(offset_ms, -4)
        seen.add(offset)
        assert abs(last_ms - offset_ms - received_at.timestamp() * 1000) < 10_000 * SLACK
    assert seen == {0, TEN_MINUTES, -TEN_MINUTES}


def judged(made: Stack) -> list[str]:
    """Return how the clock was judged, one after the other."""
    return [row[0] for row in rows(made, "SELECT state FROM clock_event ORDER BY at")]


def rows(made: Stack, statement: str) -> list[tuple[Any, ...]]:
    """Ask the database."""
    with psycopg.connect(made.database.url) as connection:
        return connection.execute(statement.encode()).fetchall()
