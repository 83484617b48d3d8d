"""What a poll plan of vSphere is to the collector: something that is asked, in a thread, for the readings of targets.

The one promise: a plan knows nothing of the inventory but the targets that it is given.
"""

from collections.abc import Sequence
from typing import Protocol

from satellite.collectors.vsphere.session import Session
from satellite.collectors.vsphere.targets import Target
from shared.model import Readings


class Measuring(Protocol):
    """Made with the collector; it remembers over a new session what was told already."""

    def collect(self, session: Session, targets: Sequence[Target]) -> Readings:
        """Return the readings of a cycle; blocks. Raises SourceError."""
        ...
