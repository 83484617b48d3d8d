"""The tests of the store run on two servers: the embedded PostgreSQL 18 and Debian's 15, the oldest supported."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from fixtures.postgres import running

from metaconsole import postgres
from metaconsole.postgres_place import Place, find_place

OLDEST: Final = Path("/usr/lib/postgresql/15")


@pytest.fixture(scope="session", params=["18", "15"])
def postgres_server(request: pytest.FixtureRequest, postgres_server: str) -> Iterator[str]:
    """Return the URL of a fresh server of the version that the parameter names."""
    if request.param == "18":
        yield postgres_server
        return
    with running(_oldest) as url:
        yield url


def _oldest(folder: Path) -> Place:
    """Make a cluster of the oldest version as initdb of that version can: without the builtin locale provider."""
    if not (OLDEST / "bin/initdb").exists():
        pytest.fail("PostgreSQL 15 is missing: apt-get install postgresql-15", pytrace=False)
    place = replace(find_place(folder / "own", folder / "outside"), wheel=OLDEST)
    place.password.write_text("a password of the tests\n")
    handed = place.cluster / "password"
    handed.write_text(place.password.read_text())
    place.give(handed)
    command = [place.program("initdb"), "-D", str(place.data), "-U", postgres.USER, "--pwfile", str(handed)]
    command += ["-A", "scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums"]
    subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=place.cluster, **place.identity())
    return place
