"""Named places at which a fault test lets the process die by SIGKILL.

NEPHOSCOPE_FAILPOINT=name=N kills the process when it passes the place for the N-th time; unset, passing costs a
comparison.
"""

import os
import signal
from typing import Final


def _parse(setting: str) -> tuple[str, int]:
    name, _, count = setting.partition("=")
    return name, int(count or 1)


_name, _left = _parse(os.environ.get("NEPHOSCOPE_FAILPOINT", ""))
ACTIVE: Final = bool(_name)


def failpoint(name: str) -> None:
    """Die here if the environment says so."""
    global _left  # noqa: PLW0603
    if not ACTIVE or name != _name:
        return
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
