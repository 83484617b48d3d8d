"""A program of ours whose wall clock a test sets while it runs; its monotonic clock goes on.

`python -m faults.turned_program FILE MODULE ARGUMENTS`, with `nephoscope` as the module for the product's own command.
FILE holds by how many milliseconds the clock is ahead, 8 bytes, little-endian.
"""

import mmap
import runpy
import struct
import sys
import time
from pathlib import Path
from typing import Final

_AHEAD: Final = struct.Struct("<q")


class Turned:
    """The file, as the test sees it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(_AHEAD.pack(0))

    def set(self, milliseconds: int) -> None:
        """Let the program's clock be so far ahead of the machine's from now on."""
        with self.path.open("r+b") as file:
            file.write(_AHEAD.pack(milliseconds))


def turn(path: str) -> None:
    """Let this process's wall clock follow the file."""
    with Path(path).open("rb") as file:
        ahead = mmap.mmap(file.fileno(), _AHEAD.size, access=mmap.ACCESS_READ)
    machine = time.time_ns

    def time_ns() -> int:
        milliseconds: int = _AHEAD.unpack_from(ahead)[0]
        return machine() + milliseconds * 1_000_000

    setattr(time, "time_ns", time_ns)  # noqa: B010  # what mypy calls assigning to a function


if __name__ == "__main__":
    turn(sys.argv[1])
    _, module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    if module == "nephoscope":
        from shared.cli import main

        main()
    else:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
