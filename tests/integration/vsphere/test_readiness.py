"""The readiness report at a simulated vCenter: each line that fails names what is missing and what that disables."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.vsphere import PASSWORD, USER, Size, Vsphere, simulated

from satellite.collector import Check
from satellite.collectors.vsphere.config import VsphereConfig
from satellite.collectors.vsphere.connection import Meter
from satellite.collectors.vsphere.privileges import ACTING
from satellite.collectors.vsphere.readiness import calls_a_minute, readiness
from satellite.collectors.vsphere.session import Refused, Session


def config(server: Vsphere, **changed: object) -> VsphereConfig:
    usual = {"host": "127.0.0.1", "port": server.port, "user": USER, "ca_file": str(server.ca_file)}
    return VsphereConfig.model_validate(usual | {"password_file": str(server.folder / "password")} | changed)


def report(server: Vsphere, **changed: object) -> dict[str, Check]:
    lines = readiness(config(server, **changed), None, Refused())
    assert len({line.name for line in lines}) == len(lines)
    return {line.name: line for line in lines}


@pytest.fixture
def whole(vcenter: Vsphere) -> Iterator[Vsphere]:
    """Return a vCenter of which no session is left behind."""
    before = vcenter.sessions()
    yield vcenter
    assert vcenter.sessions() == before


def test_a_vcenter_that_is_ready(whole: Vsphere) -> None:
    lines = report(whole)
    assert all(line.ok for line in lines.values())
    assert list(lines)[:5] == ["library", "connection", "certificate", "credentials", "version"]
    assert "VMware vCenter Server 8.0.3" in lines["connection"].detail
    assert str(whole.ca_file) in lines["certificate"].detail
    assert "API 8.0.3; 6.5 to 9." in lines["version"].detail
    assert "System.View and System.Read on the root folder" in lines["privileges"].detail
    assert "14 guests on 6 hosts" in lines["objects"].detail
    assert "about 7 calls a minute" in lines["objects"].detail
    assert "stay off" in lines["actions"].detail


def test_it_uses_the_session_that_is_open(vcenter: Vsphere) -> None:
    session = Session(config(vcenter), Meter(), Refused())
    session.open()
    before = vcenter.sessions()
    vcenter.traffic(reset=True)
    assert all(line.ok for line in readiness(config(vcenter), session, Refused()))
    assert vcenter.sessions() == before
    assert "Login" not in vcenter.traffic()
    assert session.clock().ms > 0, "it is left open"
    session.leave()


def test_a_missing_privilege_is_named_with_what_it_disables(whole: Vsphere) -> None:
    whole.knobs(without=["System.Read"])
    lines = report(whole)
    line = lines["privilege System.Read"]
    assert not line.ok
    assert "statistics" in line.detail
    assert "Read-only" in line.detail
    assert "privileges" not in lines
    assert [each.name for each in lines.values() if not each.ok] == ["privilege System.Read"]


def test_actions_that_would_be_refused_are_a_note(whole: Vsphere) -> None:
    whole.knobs(without=["VirtualMachine.Interact.PowerOff", "Host.Config.Maintenance"])
    note = report(whole)["actions"]
    assert note.ok
    assert "VirtualMachine.Interact.PowerOff (to power guests off" in note.detail
    assert "Host.Config.Maintenance (to put hosts into maintenance mode)" in note.detail
    assert "PowerOn" not in note.detail
    whole.knobs(without=[each.name for each in ACTING])
    note = report(whole)["actions"]
    assert note.ok
    assert "may only read, as recommended" in note.detail


def test_without_the_right_to_look_nothing_opens(vcenter: Vsphere) -> None:
    vcenter.knobs(without=["System.View"])
    lines = report(vcenter)
    (failed,) = (line for line in lines.values() if not line.ok)
    assert "System.View is missing" in failed.detail


def test_a_server_that_does_not_answer_a_step_fails_that_line_alone(whole: Vsphere) -> None:
    whole.knobs(fault={"CreateContainerView": "RuntimeFault"})
    lines = report(whole)
    assert [each.name for each in lines.values() if not each.ok] == ["objects"]
    assert "could not answer" in lines["objects"].detail


def test_a_certificate_a_password_and_a_server_that_are_not_right(whole: Vsphere, tmp_path: Path) -> None:
    lines = report(whole, ca_file=None)
    assert (lines["connection"].ok, lines["certificate"].ok) == (True, False)
    assert "`fingerprint`" in lines["certificate"].detail

    wrong = tmp_path / "password"
    wrong.write_text("wrong", encoding="utf-8")
    refused = Refused()
    for _ in range(3):
        found = {line.name: line for line in readiness(config(whole, password_file=str(wrong)), None, refused)}
        assert [name for name, line in found.items() if not line.ok] == ["credentials"]
    assert whole.traffic()["Login"]["calls"] == 1, "an account is locked after a few attempts"
    assert PASSWORD not in str(found)

    missing = report(whole, password_file=str(tmp_path / "nowhere"))
    assert str(tmp_path / "nowhere") in missing["credentials"].detail

    gone = report(whole, port=1, ca_file=None)
    assert [name for name, line in gone.items() if not line.ok] == ["connection"]


def test_an_old_server_and_a_single_host() -> None:
    with simulated(Size(hosts=1, guests=1), version="6.0.0") as old:
        lines = report(old)
        assert [name for name, line in lines.items() if not line.ok] == ["version"]
        assert "upgrade it to 6.5" in lines["version"].detail
    with simulated(Size(), esx=True) as host:
        assert all(line.ok for line in report(host).values())


def test_the_calls_a_minute_follow_size_and_intervals(vcenter: Vsphere) -> None:
    usual, rare = config(vcenter), config(vcenter, interval=600, history_interval=3600)
    # 40 calls of 256 entities each minute, 13 each five of 21 objects, the long poll thrice.
    assert calls_a_minute(usual, 10_200, 260) == 48
    assert calls_a_minute(rare, 10_200, 260) == 10
