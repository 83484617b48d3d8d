"""The collector vsphere heals by itself: whatever the server does, it goes on, with one session and gaps with reasons.

Run by the real scheduler with a real spool, beside another source that must not notice. Intervals are a second, where a
satellite.toml may say 20 at the least.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest
from fixtures.vsphere import Size, Vsphere, simulated
from fixtures.vsphere_source import OTHER, OTHER_INTERVAL, Run, configured, running
from fixtures.waiting import wait_for

SMALL: Final = Size(clusters=1, hosts=2, guests=3)
SLOW: Final = float(os.environ.get("NEPHOSCOPE_FAULT_SLOW", "0.3"))  # seconds a call of a slow server
BUDGET: Final = 0.25
STATE, REALTIME = "state", "realtime"


@contextmanager
def one_session(server: Vsphere) -> Iterator[None]:
    """Look at the server's sessions all the time: there is one at the most."""
    over, most = threading.Event(), [0]

    def look() -> None:
        while not over.wait(0.02):
            try:
                most.append(server.sessions())
            except (OSError, AssertionError):
                continue  # it is down

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    assert max(most) == 1


@pytest.fixture(scope="module")
def shared() -> Iterator[Vsphere]:
    with simulated(SMALL) as server:
        yield server


@pytest.fixture
def server(shared: Vsphere) -> Iterator[Vsphere]:
    """Return a vCenter that nothing is wrong with, and that no session is left at."""
    shared.knobs()
    shared.traffic(reset=True)
    yield shared
    shared.knobs()
    wait_for(lambda: shared.sessions() == 0, 10, "it has logged out; a slow server takes that late")


@contextmanager
def source(server: Vsphere, folder: Path, interval: float = 1.0, **changed: object) -> Iterator[Run]:
    """Run a source until it is in its stride; at the end the other source has lost nothing."""
    with running(folder, configured(server, interval, **changed)) as run:
        yield run
        came = run.came("fast", OTHER)
        assert max(after - before for before, after in pairwise(came)) < 10 * OTHER_INTERVAL


def settle(run: Run) -> None:
    """Wait until all plans have answered twice and the inventory is there."""
    run.wait(lambda: len(run.batches(STATE)) >= 2 and run.batches(REALTIME), 20, "it is in its stride")
    run.wait(run.resources, 10, "the inventory")
    assert run.spans(STATE) == []


def assert_one_gap(run: Run, reason: str) -> None:
    """Each plan has one gap at the most, those that are asked each second have it; what was late by itself aside."""
    for plan in run.plans():
        spans = [span for span in run.spans(plan) if span.reason != "overrun"]
        assert [span.reason for span in spans] == [reason][: len(spans)], (plan, spans)
        assert spans or plan not in (STATE, REALTIME), plan


def rename(server: Vsphere, run: Run, name: str) -> None:
    """Let something change at the server, so that a long poll ends, and wait until it is told."""
    key = next(key for key in run.resources() if key.startswith("datacenter-"))
    server.set_property(f"Datacenter:{key}", "name", name)
    run.wait(lambda: run.resources()[key] == name, 20, "the change is told")


def test_a_server_that_is_killed_amid_a_cycle_and_starts_again(tmp_path: Path) -> None:
    with simulated(SMALL) as server, one_session(server), source(server, tmp_path) as run:
        settle(run)
        before = run.resources()
        server.knobs(delay_seconds={"CurrentTime": 0.4, "QueryPerf": 0.4})
        calls = run.status().calls
        run.wait(lambda: run.status().calls > calls, 10, "a cycle is under way")
        server.kill()
        run.wait(lambda: run.gaps(STATE) and run.gaps(REALTIME), 20, "the gaps")
        assert run.status().state == "failing"
        server.start()
        run.wait_state("ok", 30)
        run.wait_more(STATE, 2, 20)
        assert_one_gap(run, "unreachable")
        assert run.resources() == before


def test_sessions_that_an_administrator_ends(server: Vsphere, tmp_path: Path) -> None:
    with one_session(server), source(server, tmp_path) as run:
        settle(run)
        for _ in range(2):
            assert server.end_sessions() == 1
            run.wait(lambda: server.sessions() == 1, 20, "it logs in again")
            run.wait_more(STATE, 2, 20)
        assert server.traffic()["Login"]["calls"] == 3
        assert all(span.reason == "unreachable" and "ended the session" in span.detail for span in run.spans(STATE))


def test_a_session_that_was_idle_for_too_long(tmp_path: Path) -> None:
    # Behind a change, the first look included, the long poll rests, which keeps a session alive otherwise.
    with simulated(SMALL, idle_seconds=0.6) as server, one_session(server), source(server, tmp_path, 2.5) as run:
        run.wait(lambda: server.traffic().get("Login", {}).get("calls", 0) >= 2, 30, "it logs in again")
        run.wait_more(STATE, 1, 20)
        assert_one_gap(run, "unreachable")
        assert run.resources()


def test_a_password_that_changes_before_its_file_does(tmp_path: Path) -> None:
    with simulated(SMALL) as server, one_session(server), source(server, tmp_path) as run:
        settle(run)
        file = server.folder / "password"
        old = file.read_text(encoding="utf-8")
        server.set_password("Changed.2")
        file.write_text(old, encoding="utf-8")
        server.traffic(reset=True)
        server.end_sessions()
        run.wait(lambda: "not tried again" in run.status().message, 20, "it waits for another password")
        run.wait(lambda: any(span.reason == "denied" for span in run.spans(STATE)), 30, "the gap says so")
        assert server.traffic()["Login"]["calls"] == 1, "an account is locked after a few attempts"
        file.write_text("Changed.2", encoding="utf-8")
        run.wait_state("ok", 30)
        run.wait_more(STATE, 1, 20)
        reasons = [span.reason for span in run.spans(STATE)]
        assert reasons in (["unreachable", "denied"], ["denied"])


def test_a_server_that_is_slow_is_asked_less_often(server: Vsphere, tmp_path: Path) -> None:
    with one_session(server), source(server, tmp_path, max(1.0, 2 * SLOW), budget=BUDGET) as run:
        settle(run)
        server.knobs(delay_seconds={"*": SLOW})

        def held() -> bool:
            plans = run.status().plans
            share = sum(plan.busy_seconds / (plan.interval_seconds * plan.stretch) for plan in plans)
            return share <= BUDGET and any(plan.plan == REALTIME and plan.stretch > 1 for plan in plans)

        run.wait(held, 90, "its plans are stretched until the budget is held")
        assert all(plan.stretch == 1 for plan in run.status().plans if plan.plan == STATE), "it asks nothing"
        run.wait_more(STATE, 2, 60)
        assert run.status().state == "ok" or SLOW > 1
        for plan in run.plans():
            assert {span.reason for span in run.spans(plan)} <= {"overrun"}


@pytest.mark.parametrize(
    ("knob", "method"),
    [("status", "CurrentTime"), ("cut_bytes", "CurrentTime"), ("status", "WaitForUpdatesEx"), ("cut_bytes", "Login")],
)
def test_answers_that_are_cut_or_refused(server: Vsphere, tmp_path: Path, knob: str, method: str) -> None:
    with one_session(server), source(server, tmp_path) as run:
        settle(run)
        failed = run.status().errors
        server.knobs(**{knob: {method: 503 if knob == "status" else 200}}, times={method: 1})
        if method == "Login":
            server.end_sessions()
        elif method == "WaitForUpdatesEx":
            rename(server, run, "first")  # which ends the long poll that waits already
            rename(server, run, "second")
        run.wait(lambda: run.status().errors > failed, 30, "it is hit")
        run.wait_state("ok", 30)
        run.wait_more(STATE, 2, 30)
        rename(server, run, "last")
        found = {span.reason for plan in run.plans() for span in run.spans(plan)}
        assert found, "what was lost is told"
        assert found <= {"unreachable", "error", "overrun"}


def test_a_certificate_that_changes(tmp_path: Path) -> None:
    trusted = tmp_path / "trusted.pem"
    with simulated(SMALL) as server, one_session(server):
        trusted.write_bytes(server.ca_file.read_bytes())
        with source(server, tmp_path / "state", ca_file=str(trusted)) as run:
            settle(run)
            server.kill()
            server.renew_certificate()
            server.start()
            run.wait(lambda: "is not trusted" in run.status().message, 30, "it trusts no other certificate")
            assert "Login" not in server.traffic()
            trusted.write_bytes(server.ca_file.read_bytes())
            run.wait_state("ok", 60)
            run.wait_more(STATE, 1, 20)
            assert_one_gap(run, "unreachable")


def test_a_server_that_is_away_when_the_satellite_starts(tmp_path: Path) -> None:
    with simulated(SMALL) as server:
        server.kill()
        with source(server, tmp_path) as run:
            run.wait_state("failing", 20)
            run.wait(lambda: len(run.batches("fast", OTHER)) >= 5, 10, "the other source goes on")
            server.start()
            settle_after_outage(run)
            (span,) = run.spans(STATE)
            assert span.reason == "unreachable"
            assert "does not answer" in span.detail


def settle_after_outage(run: Run) -> None:
    """Wait until it is in its stride."""
    run.wait(lambda: len(run.batches(STATE)) >= 2 and run.resources(), 30, "it is in its stride")
