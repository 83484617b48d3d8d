"""A frame that passes every check and that PostgreSQL refuses costs itself, and none of the frames around it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psycopg
import pytest
from fixtures.gateway import Client, batch, channel, gateway, make_place, rows, session
from fixtures.waiting import wait_until

from metaconsole.store import log
from metaconsole.store.database import AsyncConnection, connect
from metaconsole.store.frames import CheckedFrame, Outcome
from metaconsole.store.sites import ensure_satellite
from shared.pb import uplink_pb2
from shared.tls import SatelliteIdentity

NEIGHBOURS: Final = 20  # in each of two satellites
POISONED: Final = 11
# Whatever the checks do not foresee: to PostgreSQL it is a value that it does not take.
POISON: Final = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.plan = 'poison' THEN
        RAISE EXCEPTION 'this row is poisoned' USING ERRCODE = 'data_exception';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION refuse();
"""


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return the plans of each group that the gateway tries to store, as it goes on."""
    seen: list[list[str]] = []
    append = log.append

    async def noting(connection: AsyncConnection, frames: Sequence[CheckedFrame]) -> list[Outcome]:
        seen.append([frame.row.plan for frame in frames])
        return await append(connection, frames)

    monkeypatch.setattr(log, "append", noting)
    return seen


def test_a_poisoned_frame_in_a_group_is_refused_alone(
    database_url: str, tmp_path: Path, groups: list[list[str]]
) -> None:
    place = make_place(database_url, tmp_path)
    with connect(database_url) as connection:
        other = SatelliteIdentity(place.identity.site_id, ensure_satellite(connection, place.identity.site_id, "other"))
        connection.execute(POISON)

    async def scenario() -> list[list[uplink_pb2.Ack]]:
        one, two = place.certificates(), place.certificates(other)
        async with (
            gateway(place) as port,
            channel(port, one, one / "trust.pem") as first,
            channel(port, two, two / "trust.pem") as second,
            session(first) as poisoner,
            session(second) as neighbour,
        ):
            clients = (poisoner, neighbour)
            for client in clients:
                await client.hello()
                await client.define(1)
            with psycopg.connect(database_url) as holder:
                # While the satellites' rows are held, the first frames wait, and all others gather behind them.
                holder.execute("SELECT FROM satellite FOR UPDATE")
                await poisoner.frame(1, batch=batch([1], [0.5], plan="first"))
                await wait_until(lambda: len(groups) == 1, 20, "the first frame is being stored")
                await send_all(clients)
                await asyncio.sleep(0.5)  # the gateway reads what was sent; what it has not read yet is a smaller group
            return [await client.acks(NEIGHBOURS + (client is poisoner)) for client in clients]

    acks = asyncio.run(scenario())
    poisoned = next(group for group in groups if "poison" in group)
    assert len(poisoned) > NEIGHBOURS, "the poisoned frame had fewer neighbours than wanted"
    refused = [(refusal.sequence, refusal.reason) for ack in acks[0] for refusal in ack.refused]
    assert refused == [(POISONED, "unstorable")]
    assert not [refusal for ack in acks[1] for refusal in ack.refused]
    mine, others = (str(one.satellite_id) for one in (place.identity, other))
    wanted = [(mine, n) for n in range(1, NEIGHBOURS + 2) if n != POISONED]
    wanted += [(others, n) for n in range(1, NEIGHBOURS + 1)]
    stored = "SELECT satellite_id::text, sequence FROM log WHERE kind = 1"
    assert sorted(rows(place, stored)) == sorted(wanted)
    assert rows(place, "SELECT sequence FROM log WHERE kind = 4") == [(POISONED,)]
    assert rows(place, "SELECT sequence, reason FROM quarantine") == [(POISONED, "unstorable")]
    assert rows(place, "SELECT head FROM satellite ORDER BY head") == [(NEIGHBOURS,), (NEIGHBOURS + 1,)]


async def send_all(clients: Sequence[Client]) -> None:
    """Send the frames of both satellites by turns, with the poisoned one in the midst of the first's."""
    poisoner, neighbour = clients
    for sequence in range(1, NEIGHBOURS + 1):
        plan = "poison" if sequence + 1 == POISONED else "good"
        await poisoner.frame(sequence + 1, batch=batch([1], [0.5], plan=plan))
        await neighbour.frame(sequence, batch=batch([1], [0.5], plan="good"))
