"""Where the events of each source go on: the position of the newest one that is safe in the spool.

The one promise: after kill -9 at any instruction no position is ahead of what the spool held.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from shared.pb import uplink_pb2

_log = logging.getLogger(__name__)
FILE: Final = "positions.json"


class Positions:
    """What earlier runs left: the file as it was written last, and the frames that were spooled after that.

    A run writes the file before it spools anything. So only frames of that run and of later ones can be newer, and
    among those the last one counts.
    """

    def __init__(self, path: Path) -> None:
        """Read the file; an unreadable one is left out with a warning."""
        self._run, self.found = _load(path)

    def noting(self, frames: Iterable[tuple[int, uplink_pb2.Frame]]) -> Iterator[uplink_pb2.Frame]:
        """Pass on the last frames of earlier runs (each with its run, oldest first), and note what they tell."""
        for run, frame in frames:
            if run >= self._run and frame.events.position:
                self.found[frame.events.events[-1].source] = frame.events.position
            yield frame


def _load(path: Path) -> tuple[int, dict[str, str]]:
    try:
        stored = json.loads(path.read_bytes())
        return int(stored["run"]), {str(source): str(position) for source, position in stored["positions"].items()}
    except FileNotFoundError:
        return 0, {}
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        _log.warning("%s can't be read (%s): where events go on is taken from the spool alone", path, error)
        return 0, {}


def positions_json(run: int, positions: Mapping[str, str]) -> bytes:
    """Return the content of the file, as a run writes it."""
    return json.dumps({"run": run, "positions": dict(positions)}, indent=1).encode()
