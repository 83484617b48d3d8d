"""What the tests of the gateway share."""

from pathlib import Path

import pytest
from fixtures.gateway import Place, make_place


@pytest.fixture
def place(database_url: str, tmp_path: Path) -> Place:
    return make_place(database_url, tmp_path)
