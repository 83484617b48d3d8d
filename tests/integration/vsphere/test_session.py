"""One session at a simulated vCenter: trust, passwords, versions, counting, and giving it up while a call waits."""

import hashlib
import ssl
import threading
import time
from pathlib import Path

import pytest
from fixtures.vsphere import PASSWORD, USER, Size, Vsphere, simulated
from fixtures.vsphere_client import Watch
from fixtures.waiting import wait_for

from satellite.collector import SourceDeniedError, SourceError, SourceUnreachableError
from satellite.collectors.vsphere.config import VsphereConfig
from satellite.collectors.vsphere.connection import Meter
from satellite.collectors.vsphere.library import SessionEndedError
from satellite.collectors.vsphere.session import Refused, Session


def config(server: Vsphere, **changed: object) -> VsphereConfig:
    usual = {"host": "127.0.0.1", "port": server.port, "user": USER, "ca_file": str(server.ca_file)}
    return VsphereConfig.model_validate(usual | {"password_file": str(server.folder / "password")} | changed)


def fingerprint(server: Vsphere) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(server.ca_file.read_text(encoding="ascii"))).hexdigest()


def test_it_logs_in_once_speaks_the_servers_version_and_logs_out(vcenter: Vsphere) -> None:
    before = vcenter.sessions()
    session = Session(config(vcenter), Meter(), Refused())
    session.open()
    assert session.vcenter
    assert session.stub.version == "vim.version.v8_0_3_0"
    assert abs(session.clock().ms - time.time() * 1000) < 60_000
    assert vcenter.sessions() == before + 1
    session.leave()
    assert vcenter.sessions() == before
    counted, told = session.traffic(), vcenter.traffic()
    assert counted.calls == sum(each["calls"] for each in told.values())
    assert counted.bytes_received == sum(each["bytes_out"] for each in told.values())
    assert counted.seconds > 0
    with pytest.raises(SessionEndedError):
        session.clock()


def test_waiting_for_a_change_is_no_load(vcenter: Vsphere) -> None:
    session = Session(config(vcenter), Meter(), Refused())
    session.open()
    watch = Watch(session.content)
    watch.changes()
    vcenter.knobs(delay_seconds={"*": 0.3})
    before = session.traffic()
    watch.changes(seconds=1)
    waited = session.traffic()
    assert waited.calls == before.calls + 1
    assert waited.seconds == before.seconds
    watch.changes()
    assert session.traffic().seconds >= before.seconds + 0.3, "what is answered at once is"
    session.leave()


def test_the_certificate_is_held_to_its_authority_or_to_its_fingerprint(vcenter: Vsphere) -> None:
    pinned = Session(config(vcenter, ca_file=None, fingerprint=fingerprint(vcenter)), Meter(), Refused())
    pinned.open()
    pinned.leave()
    for wrong in ({"ca_file": None}, {"ca_file": None, "fingerprint": "ab" * 32}):
        meter = Meter()
        session = Session(config(vcenter, **wrong), meter, Refused())
        with pytest.raises(SourceUnreachableError, match=r"not trusted.*`ca_file`.*`fingerprint`"):
            session.open()
        session.leave()
        assert meter.read().calls == 0  # nothing was sent to whoever it is


def test_a_refused_password_is_not_tried_again_until_it_changes(vcenter: Vsphere, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("wrong", encoding="utf-8")
    refused, meter = Refused(), Meter()
    with pytest.raises(SourceDeniedError, match="refuses user and password"):
        Session(config(vcenter, password_file=str(file)), meter, refused).open()
    asked = meter.read().calls
    with pytest.raises(SourceDeniedError, match=r"not tried again for \d+ s"):
        Session(config(vcenter, password_file=str(file)), meter, refused).open()
    assert meter.read().calls == asked
    file.write_text(PASSWORD, encoding="utf-8")
    session = Session(config(vcenter, password_file=str(file)), meter, refused)
    session.open()
    session.leave()


def test_the_end_of_the_session_is_told_as_such(vcenter: Vsphere) -> None:
    session = Session(config(vcenter), Meter(), Refused())
    session.open()
    vcenter.end_sessions()
    for _ in range(2):
        with pytest.raises(SessionEndedError, match="opened anew"):
            session.clock()
    session.leave()


def test_a_call_that_waits_is_cut(vcenter: Vsphere) -> None:
    session = Session(config(vcenter), Meter(), Refused())
    session.open()
    vcenter.knobs(delay_seconds={"CurrentTime": 25})
    caught: list[SourceError] = []
    before = session.traffic().calls

    def ask() -> None:
        try:
            session.clock()
        except SourceError as error:
            caught.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    wait_for(lambda: session.traffic().calls > before, 5, "the call is on its way")
    time.sleep(0.2)
    session.cut()
    thread.join(5)
    assert not thread.is_alive()
    assert isinstance(caught[0], SourceUnreachableError)
    session.leave()


def test_a_server_that_is_not_there_is_a_sentence() -> None:
    with simulated(Size(hosts=1, guests=0)) as server:
        server.stop()
        with pytest.raises(SourceUnreachableError, match="does not answer"):
            Session(config(server), Meter(), Refused()).open()
