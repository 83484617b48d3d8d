"""How much the spool may hold, and for how long.

The one promise: the same disk and the same settings always give the same bound, however full the spool is.
"""

from dataclasses import dataclass
from typing import Final

MIB: Final = 1024 * 1024
BYTES: Final = 2048 * MIB
BYTES_LEAST: Final = 64 * MIB
_SHARE: Final = 5  # of the disk's free space, one part
BALLAST_BYTES: Final = 8 * MIB
_DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """What `[spool]` of satellite.toml says."""

    bytes: int | None = None  # None: as `default_bytes` says
    days: float = 7
    keep_hours: float = 24
    ballast_bytes: int = BALLAST_BYTES

    @property
    def age_ms(self) -> float:
        """How old a frame that waits may become."""
        return self.days * _DAY_MS

    @property
    def keep_ms(self) -> float:
        """How long an acknowledged segment is kept."""
        return self.keep_hours * _HOUR_MS


DEFAULT: Final = Bounds()


def default_bytes(free: int) -> int:
    """Return the bound where none is set; free is the disk's free space with what the spool itself takes of it."""
    return min(BYTES, max(free // _SHARE, BYTES_LEAST))
