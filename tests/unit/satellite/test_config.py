"""satellite.toml: everything wrong is told at once, with the key and the fix."""

from pathlib import Path

import pytest
from fixtures.collectors import ScriptedCollector, ScriptedConfig

from satellite.bounds import Bounds
from satellite.config import ConfigError, load_config
from satellite.plugins import Found

FOUND = Found({"scripted": ScriptedCollector}, {"libvirt": "no libvirt here: pip install 'nephoscope[libvirt]'"})
GOOD = """
site = "home"
name = "local"
uplinks = ["127.0.0.1:7443", "[::1]:7443"]
certificate = "satellite.pem"
key = "satellite.key"
trust = "/etc/trust.pem"
state = "state"
[sources.machine]
collector = "scripted"
interval = 5
[sources.kvm]
collector = "libvirt"
uri = "qemu:///system"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "satellite.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_paths_are_relative_to_the_file_and_a_missing_library_leaves_its_source_out(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD), FOUND)
    assert (config.site, config.name, config.uplinks) == ("home", "local", ("127.0.0.1:7443", "[::1]:7443"))
    assert config.certificate == tmp_path / "satellite.pem"
    assert config.trust == Path("/etc/trust.pem")
    assert config.sources["machine"].settings == ScriptedConfig(interval=5)
    assert config.sources["kvm"].collector is None
    assert "pip install" in config.sources["kvm"].why


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace('name = "local"\n', "nmae = 1\n").replace("interval = 5", 'interval = "often"\ncolour = "red"')
    text = text.replace('"127.0.0.1:7443"', '"nowhere"') + '[sources.x]\ncollector = "vsphere"\n[sources.y]\n'
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path, FOUND)
    told = "\n".join(caught.value.problems)
    for part in (
        "name: this key is missing",
        "nmae: this key is not known",
        "uplinks.0: ",
        "sources.machine.interval: ",
        "sources.machine.colour: this key is not known",
        "sources.x.collector: no collector 'vsphere' is installed; there are: libvirt, scripted",
        "sources.y.collector: this key is missing",
    ):
        assert part in told
    assert all(line.startswith(str(path)) for line in str(caught.value).splitlines())


@pytest.mark.parametrize("text", ["site = ", "\udcff"])
def test_a_file_that_can_not_be_read_is_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "satellite.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match="can't be read"):
        load_config(path, FOUND)
    with pytest.raises(ConfigError, match="does not exist"):
        load_config(tmp_path / "other.toml", FOUND)


def test_the_bounds_of_the_spool_have_defaults_and_each_wrong_one_is_told(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, GOOD), FOUND).spool == Bounds()
    table = "[spool]\nbytes = 1_073_741_824\ndays = 2.5\nkeep_hours = 0\n"
    assert load_config(write(tmp_path, GOOD + table), FOUND).spool == Bounds(1024**3, 2.5, 0)
    wrong = "[spool]\nbytes = 1000\ndays = 0\nkeep_hours = -1\nminutes = 3\n"
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, GOOD + wrong), FOUND)
    told = "\n".join(caught.value.problems)
    for part in (
        "spool.bytes: Input should be greater than or equal to 67108864",
        "spool.days: Input should be greater than 0",
        "spool.keep_hours: Input should be greater than or equal to 0",
        "spool.minutes: this key is not known here",
    ):
        assert part in told
    with pytest.raises(ConfigError, match=r"spool\.bytes: Input should be a valid integer"):
        load_config(write(tmp_path, GOOD + '[spool]\nbytes = "2 GiB"\n'), FOUND)
