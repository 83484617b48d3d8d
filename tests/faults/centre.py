"""The metaconsole's database of a history: it can be dumped, and be put back to such a dump.

The promise: a restore is followed by what docs/operate.md says, and by nothing else.
"""

import uuid
from dataclasses import dataclass
from typing import Final

from fixtures.spools import ident
from psycopg import sql

from metaconsole.store.database import AsyncConnection, Connection, connect
from metaconsole.store.deployment import begin_life
from metaconsole.store.sites import ensure_satellite, ensure_site
from shared.pb import events_pb2, uplink_pb2
from shared.tls import SatelliteIdentity

Number = tuple[bytes, int]
Dump = dict[str, bytes]
_TABLES: Final = ("deployment", "satellite", "epoch", "epoch_series", "log")  # what a history writes


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database holds of the satellite."""

    frames: list[Number]
    idents: list[int]
    ordinals: list[int]
    taken: set[Number]


class Centre:
    """A database with one satellite, without any frame; the connection is its gateway's."""

    def __init__(self, url: str, connection: AsyncConnection) -> None:
        self.connection = connection
        self.dumps: list[Dump] = []
        self._admin: Connection = connect(url)
        self._delete_all()
        site_id = ensure_site(self._admin, "home")
        self.identity = SatelliteIdentity(site_id, ensure_satellite(self._admin, site_id, f"s{uuid.uuid4().hex}"))
        begin_life(self._admin)
        self._admin.commit()

    def back_up(self, keep: int) -> None:
        """Dump the database; the oldest dump goes where there are too many."""
        dump = {}
        for table in _TABLES:
            statement = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT (FORMAT BINARY)").format(sql.Identifier(table))
            with self._admin.cursor().copy(statement) as copy:
                dump[table] = b"".join(bytes(data) for data in copy)
        self._admin.commit()
        self.dumps = [*self.dumps, dump][-keep:]

    def restore(self, at: int) -> None:
        """Put one of the dumps in the database's place, and begin a new life."""
        dump = self.dumps[at % len(self.dumps)]
        self._delete_all()
        self._admin.execute("DELETE FROM deployment")
        for table in _TABLES:
            statement = sql.SQL("COPY {} FROM STDIN (FORMAT BINARY)").format(sql.Identifier(table))
            with self._admin.cursor().copy(statement) as copy:
                copy.write(dump[table])
        begin_life(self._admin)
        self._admin.commit()

    def read(self) -> Stored:
        """Return what is stored."""
        rows = self._admin.execute("SELECT epoch, sequence, payload, ordinal FROM log ORDER BY ordinal").fetchall()
        taken = "SELECT epoch, lower(part), upper(part) FROM epoch, unnest(taken) AS part"
        parts = self._admin.execute(taken).fetchall()
        self._admin.commit()
        return Stored(
            [(epoch.bytes, sequence) for epoch, sequence, _, _ in rows],
            [ident(uplink_pb2.Frame(events=events_pb2.EventList.FromString(payload))) for _, _, payload, _ in rows],
            [ordinal for _, _, _, ordinal in rows],
            {(epoch.bytes, number) for epoch, first, end in parts for number in range(first, end)},
        )

    def close(self) -> None:
        """Let go of the database."""
        self._admin.close()

    def _delete_all(self) -> None:
        for table in reversed(_TABLES):
            self._admin.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        self._admin.execute("INSERT INTO deployment DEFAULT VALUES")
