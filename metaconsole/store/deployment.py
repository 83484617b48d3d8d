"""Which life of the database this is: a restore from a backup, or a standby that took over, begins a new one.

The one promise: once `begin_life` has returned, no session of an earlier life stores anything, and every satellite
that connects is told to offer again whatever it still holds.
"""

import time
from typing import Final
from uuid import UUID, uuid4

from metaconsole.store.database import Connection
from metaconsole.store.sql import statements

_SQL: Final = statements("deployment")


def begin_life(connection: Connection) -> UUID:
    """Draw a new incarnation, fence all sessions, and return the incarnation."""
    # The counters of sessions went back, too: a gateway that outlived the restore could hold the number of a session
    # that is still to come. No counter has ever reached the clock's milliseconds.
    floor = time.time_ns() // 1_000_000
    incarnation = uuid4()
    with connection.transaction():
        connection.execute(_SQL["fence_sessions"], {"floor": floor})
        connection.execute(_SQL["set_incarnation"], {"incarnation": incarnation})
    return incarnation
