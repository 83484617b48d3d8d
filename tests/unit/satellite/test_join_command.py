"""`nephoscope satellite join`: where the token comes from, and the file that it writes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from satellite.cli import satellite
from satellite.config import ConfigError, load_config
from satellite.plugins import find_collectors
from shared import satellite_file


@pytest.mark.parametrize("way", ["stdin", "file", "dash"])
def test_the_token_is_read_from_stdin_or_a_file(tmp_path: Path, way: str) -> None:
    file = tmp_path / "token"
    file.write_text("hello\n")
    options = {"stdin": [], "file": ["--token-file", str(file)], "dash": ["--token-file", "-"]}[way]
    arguments = ["join", "--out", str(tmp_path / "edge"), *options]
    result = CliRunner().invoke(satellite, arguments, input=None if way == "file" else "hello\n")
    assert result.exit_code == 1
    assert "this is no join token" in result.output
    assert not (tmp_path / "edge").exists()


def test_the_token_is_no_argument_and_a_folder_is_named() -> None:
    assert CliRunner().invoke(satellite, ["join", "--out", "edge", "nsj_secret"]).exit_code == 2
    assert CliRunner().invoke(satellite, ["join"], input="nsj_secret").exit_code == 2


@pytest.mark.parametrize(
    "proxy", ["nonsense", "https://proxy:3128", "http://proxy", 'http://proxy:1"\nx = "', "proxy:3128"]
)
def test_what_is_no_proxy_is_told(proxy: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(satellite, ["join", "--out", "edge", "--proxy", proxy], input="x")
    assert result.exit_code == 2
    assert "http://HOST:PORT" in result.output
    file = tmp_path / "satellite.toml"
    text = satellite_file.text("madrid", "edge", 'uplinks = ["noc:7443"]')
    file.write_text(f"proxy = {json.dumps(proxy)}\n{text}")
    with pytest.raises(ConfigError, match="proxy"):
        load_config(file, find_collectors())


@pytest.mark.parametrize("proxy", ["", "http://proxy.example:3128", "http://user:p%40ss@[2001:db8::1]:3128/"])
def test_what_is_written_is_what_the_satellite_reads(proxy: str, tmp_path: Path) -> None:
    file = tmp_path / satellite_file.FILE
    line = satellite_file.uplinks_line(["noc.example.org:7443", "[2001:db8::1]:7443"])
    file.write_text(satellite_file.text("madrid", "madrid-1", line, proxy=proxy))
    config = load_config(file, find_collectors())
    assert (config.site, config.name, config.proxy) == ("madrid", "madrid-1", proxy or None)
    assert config.uplinks == ("noc.example.org:7443", "[2001:db8::1]:7443")
    assert (config.certificate, config.key, config.trust) == satellite_file.certificate_files(tmp_path)
    assert list(config.sources) == ["machine"]
