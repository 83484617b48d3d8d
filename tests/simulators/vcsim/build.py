"""Builds the simulated vCenter from Debian's govmomi and our own Go files, once per version of the sources.

The library's package `simulator` is compiled with our files added to it and a few lines of its own changed (PATCHES),
by the Go compiler's overlay: nothing of Debian's package is copied into this repository or changed on the machine.
The one promise: the same sources are built once a machine, outside the checkout, and nothing is fetched to do it.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

PACKAGES: Final = "golang-go golang-github-vmware-govmomi-dev"
_HERE: Final = Path(__file__).parent
_GOPATH: Final = Path("/usr/share/gocode")
_LIBRARY: Final = _GOPATH / "src/github.com/vmware/govmomi"
_BUILD_SECONDS: Final = 600

# (file, what stands there once, what is to stand there). Each is a place where the library cannot be told from outside.
PATCHES: Final = (
    # Methods of ours come before the library's, and each call passes the knobs (library/dispatch.go).
    (
        "simulator/simulator.go",
        "\tm := reflect.ValueOf(handler).MethodByName(name)\n",
        "\tif fault := spoiled(ctx, method); fault != nil {\n\t\treturn fault\n\t}\n\tm := methodOf(handler, name)\n",
    ),
    ("simulator/simulator.go", "\t\tres = m.Call(args)\n\t})\n", "\t\tres = m.Call(args)\n\t})\n\ttouched(method)\n"),
    # A task may be told to fail, and leaves an event as vCenter's do (library/tasks.go).
    ("simulator/task.go", "\tres, err := t.Execute(t)\n", "\tres, err := execute(t)\n"),
    # All events are kept, not the last thousand; some of the messages are no templates (library/events.go).
    ("simulator/event_manager.go", "\tm.formatMessage(req.EventToPost)\n", "\thistory.add(m, req.EventToPost)\n"),
    # What ends a session goes through what it has while its other calls change that (library/server.go).
    (
        "simulator/session_manager.go",
        "\tfor ref, obj := range ctx.Session.Registry.objects {\n",
        "\tfor ref, obj := range objectsOf(ctx.Session.Registry) {\n",
    ),
    # A property that becomes unset is a nil pointer, which the library takes for a value and panics.
    (
        "vim25/mo/type_info.go",
        "\t\tif pv == nilValue {\n",
        "\t\tif pv == nilValue || pv.Kind() == reflect.Ptr && pv.IsNil() {\n",
    ),
)  # fmt: skip


def build() -> Path:
    """Return the program, built if it is not there yet."""
    missing = [] if shutil.which("go") else ["go"]
    missing += [] if _LIBRARY.is_dir() else [str(_LIBRARY)]
    assert not missing, f"missing {', '.join(missing)}: apt-get install {PACKAGES}"
    cache = Path(tempfile.gettempdir()) / f"nephoscope-test-vcsim-{os.getuid()}"
    cache.mkdir(mode=0o700, exist_ok=True)
    assert cache.stat().st_uid == os.getuid(), f"{cache} belongs to someone else: remove it"
    program = cache / f"vcsim-{_digest()}"
    with (cache / "lock").open("w") as lock:  # several test processes want it at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _compile(cache, program)
    return program


def _digest() -> str:
    digest = hashlib.sha256(repr(PATCHES).encode())
    digest.update(_run("go", "version").encode())
    for source in (*sorted(_HERE.rglob("*.go")), *sorted((_LIBRARY / "simulator").glob("*.go"))):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:16]


def _compile(cache: Path, program: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        overlay = {str(_LIBRARY / "simulator" / f"our_{file.name}"): str(file) for file in _HERE.glob("library/*.go")}
        for number, (name, text) in enumerate(_patched().items()):
            changed = Path(folder) / f"{number}.go"
            changed.write_text(text, encoding="utf-8")
            overlay[str(_LIBRARY / name)] = str(changed)
        (Path(folder) / "overlay.json").write_text(json.dumps({"Replace": overlay}), encoding="utf-8")
        built = Path(folder) / "vcsim"
        _run("go", "build", "-overlay", f"{folder}/overlay.json", "-o", str(built), str(_HERE / "main.go"), cache=cache)
        built.rename(program)


def _patched() -> dict[str, str]:
    texts: dict[str, str] = {}
    for name, old, new in PATCHES:
        text = texts.get(name) or (_LIBRARY / name).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{_LIBRARY / name}: {old.strip()!r} is there {text.count(old)} times, not once"
        texts[name] = text.replace(old, new)
    return texts


def _run(*command: str, cache: Path | None = None) -> str:
    settings = {"GO111MODULE": "off", "GOPATH": str(_GOPATH), "GOFLAGS": "", "GOPROXY": "off", "CGO_ENABLED": "0"}
    environment = os.environ | settings | ({"GOCACHE": str(cache / "go")} if cache else {})
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


if __name__ == "__main__":
    print(build())
