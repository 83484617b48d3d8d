"""A folder that is made at the metaconsole and carried to the site: the way without a connection."""

from pathlib import Path

import pytest

from metaconsole.home import Home
from metaconsole.issue import issue
from metaconsole.pki import trust_bundle
from metaconsole.store.database import connect
from satellite.config import load_config
from satellite.plugins import find_collectors
from shared.certificates import leaf_in


def test_the_folder_holds_what_the_satellite_needs_and_is_private(database_url: str, tmp_path: Path) -> None:
    home, out = Home(tmp_path / "home"), tmp_path / "edge"
    home.prepare()
    issue(home, database_url, "paris", "edge", "[2001:db8::1]:7443", out)
    config = load_config(out / "satellite.toml", find_collectors())
    assert (config.site, config.name, config.uplinks) == ("paris", "edge", ("[2001:db8::1]:7443",))
    assert {file.stat().st_mode & 0o077 for file in (config.key, config.certificate, config.trust)} == {0}
    assert config.trust.read_bytes() == trust_bundle(home.pki)
    leaf = leaf_in(config.certificate)
    assert leaf is not None
    with connect(database_url) as connection:
        row = connection.execute("SELECT site_id, satellite_id FROM satellite WHERE name = 'edge'").fetchone()
    assert row == (leaf.identity.site_id, leaf.identity.satellite_id)


@pytest.mark.parametrize("uplink", ["nonsense", "host:99999", "host:7443\n"])
def test_what_is_no_address_and_a_folder_in_use_are_told(database_url: str, tmp_path: Path, uplink: str) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    with pytest.raises(ValueError, match=r"HOST:PORT|port between"):
        issue(home, database_url, "paris", "edge", uplink, tmp_path / "edge")
    assert not (tmp_path / "edge").exists()
    with pytest.raises(ValueError, match="is not empty"):
        issue(home, database_url, "paris", "edge", "host:7443", tmp_path)
