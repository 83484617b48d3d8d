"""The bundle and its build: small, pinned without addresses, made only when its sources changed."""

import gzip
import importlib.util
import json
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from metaconsole.web.ui import bundle

ROOT = Path(__file__).resolve().parents[3]
CORE_BYTES = 120 * 1024


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Copy all that the bundle is made of."""
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "metaconsole/web/frontend", tmp_path / "metaconsole/web/frontend")
    return tmp_path


def test_scripts_are_small() -> None:
    scripts = list(bundle.FOLDER.glob("*.js"))
    assert scripts, "there is no bundle: run make install (not with NEPHOSCOPE_NO_UI=1)"
    assert sum(len(gzip.compress(script.read_bytes(), 9)) for script in scripts) <= CORE_BYTES


def test_the_licences_of_what_is_bundled_are_with_it() -> None:
    text = (bundle.FOLDER / "LICENSES.txt").read_text(encoding="utf-8")
    for name in json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["dependencies"]:
        assert name in text


def test_the_bundle_is_of_these_sources(build: ModuleType) -> None:
    assert build.is_fresh(ROOT), "the bundle is older than its sources: run make install"
    assert bundle.version() == build.sources_digest(ROOT)[:12]


def test_the_lock_names_no_address() -> None:
    text = (ROOT / "package-lock.json").read_text(encoding="utf-8")
    assert not re.search(r"https?:|registry|resolved|://", text)
    packages = json.loads(text)["packages"]
    assert all("integrity" in package for name, package in packages.items() if name)


def test_versions_are_pinned() -> None:
    package = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    versions = {**package["dependencies"], **package["devDependencies"]}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions.values())
    assert versions["htmx.org"].startswith("2.")


def test_a_bundle_is_wanted_until_it_is_of_the_sources(
    build: ModuleType, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NEPHOSCOPE_NO_UI", raising=False)
    assert build.wanted(tree)
    folder = build.bundle_folder(tree)
    folder.mkdir(parents=True)
    (folder / build.STAMP).write_text(build.sources_digest(tree) + "\n", encoding="ascii")
    assert not build.wanted(tree)
    (tree / "metaconsole/web/frontend/app.js").write_text("1", encoding="utf-8")
    assert build.wanted(tree)
    monkeypatch.setenv("NEPHOSCOPE_NO_UI", "1")
    assert not build.wanted(tree)


def test_a_registry_out_of_reach_is_told_with_what_to_do(
    build: ModuleType, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho network is unreachable\nexit 1\n", encoding="ascii")
    npm.chmod(0o755)
    monkeypatch.setattr(build, "machine_node", lambda: [str(npm)])
    with pytest.raises(build.BuildError, match=r"NEPHOSCOPE_NO_UI=1.*\n.*network is unreachable"):
        build.bundle(tree)
    assert not build.is_fresh(tree)


def test_without_node_the_wheel_is_asked_for_only_when_a_bundle_is_wanted(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "machine_node", lambda: None)
    hook = build.CustomBuildHook.__new__(build.CustomBuildHook)
    monkeypatch.setattr(build.CustomBuildHook, "root", str(ROOT))
    monkeypatch.setattr(build, "wanted", lambda _: True)
    assert hook.dependencies() == [build.NODE_WHEEL]
    monkeypatch.setattr(build, "wanted", lambda _: False)
    assert hook.dependencies() == []


def test_a_node_that_is_too_old_is_not_used(build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, answer in {"node": "v18.19.0", "npm": "9"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\necho {answer}\n", encoding="ascii")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.machine_node() is None
    (tmp_path / "node").write_text("#!/bin/sh\necho v22.1.0\n", encoding="ascii")
    assert build.machine_node() == [str(tmp_path / "npm")]
