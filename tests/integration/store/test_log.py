"""The log on a real PostgreSQL: each frame once, in order, whoever writes."""

import asyncio
import dataclasses
import uuid

import pytest
from fixtures.log import Site, frame, open_session

from metaconsole.gateway.writer import Writer
from metaconsole.store.database import UnstorableError, connect_async, connected
from metaconsole.store.frames import CheckedFrame, Outcome, Refusal
from metaconsole.store.log import append

EPOCH = uuid.UUID(int=7)
STORED, REPLAYED, FENCED = Outcome.STORED, Outcome.REPLAYED, Outcome.FENCED


class Settled:
    """A sink that remembers, and tells when so many frames are settled."""

    def __init__(self, expected: int) -> None:
        self.outcomes: dict[int, tuple[CheckedFrame, Outcome]] = {}
        self.done = asyncio.Event()
        self._expected = expected

    def settled(self, frame: CheckedFrame, outcome: Outcome) -> None:
        self.outcomes[frame.first] = (frame, outcome)
        if len(self.outcomes) == self._expected:
            self.done.set()


def test_a_replayed_frame_is_acknowledged_and_not_stored_again(site: Site) -> None:
    async def scenario() -> list[list[Outcome]]:
        async with connected(site.url, application="test") as connection:
            sender = await open_session(connection, site, EPOCH)
            frames = [frame(sender, EPOCH, sequence) for sequence in (2, 1, 2, 5)]
            return [await append(connection, frames), await append(connection, frames)]

    assert asyncio.run(scenario()) == [[STORED, STORED, REPLAYED, STORED], [REPLAYED] * 4]
    assert site.rows("SELECT sequence, ordinal, convert_from(payload, 'UTF8') FROM log ORDER BY ordinal") == [
        (2, 1, "2"),
        (1, 2, "1"),
        (5, 3, "5"),
    ]
    assert site.rows("SELECT taken::text FROM epoch") == [("{[1,3),[5,6)}",)]


def test_an_older_session_and_a_revoked_satellite_store_nothing(site: Site) -> None:
    async def scenario() -> list[Outcome]:
        async with connected(site.url, application="test") as connection:
            older = await open_session(connection, site, EPOCH)
            newer = await open_session(connection, site, EPOCH)
            revoked = await open_session(connection, site, EPOCH, 1)
            unknown = dataclasses.replace(newer, satellite_id=uuid.uuid4())
            site.rows(f"UPDATE satellite SET revoked_at = now() WHERE satellite_id = '{revoked.satellite_id}'")
            return await append(connection, [frame(sender, EPOCH, 1) for sender in (older, revoked, unknown, newer)])

    assert asyncio.run(scenario()) == [FENCED, FENCED, FENCED, STORED]
    assert site.rows("SELECT count(*) FROM log") == [(1,)]


def test_four_concurrent_writers_leave_ordinals_without_holes_in_commit_order(site: Site) -> None:
    rounds, writers = 12, 4

    async def write(number: int, senders: list[object]) -> None:
        async with connected(site.url, application="test") as connection:
            for turn in range(rounds):
                sequence = turn * writers + number + 1
                # Each in an order of its own: only the locks' order keeps them from deadlock.
                frames = [frame(sender, EPOCH, sequence) for sender in senders[number:] + senders[:number]]  # type: ignore[arg-type]
                assert set(await append(connection, frames)) == {STORED}

    async def scenario() -> None:
        async with connected(site.url, application="test") as connection:
            senders: list[object] = [await open_session(connection, site, EPOCH, n) for n in range(4)]
        await asyncio.gather(*(write(number, senders) for number in range(writers)))

    asyncio.run(scenario())
    for satellite in site.satellites:
        rows = site.rows(f"SELECT ordinal, received_at FROM log WHERE satellite_id = '{satellite}' ORDER BY ordinal")
        assert [ordinal for ordinal, _ in rows] == list(range(1, rounds * writers + 1))
        assert [at for _, at in rows] == sorted(at for _, at in rows)
    assert set(site.rows("SELECT head, taken::text FROM satellite JOIN epoch USING (site_id, satellite_id)")) == {
        (rounds * writers, "{[1,49)}")
    }


def test_of_a_group_that_fails_only_the_bad_frame_is_refused(site: Site) -> None:
    async def scenario() -> Settled:
        async with connected(site.url, application="test") as connection:
            sender = await open_session(connection, site, EPOCH)
        frames = [frame(sender, EPOCH, sequence) for sequence in range(1, 6)]
        # Nothing like this passes the checks; PostgreSQL has the last word all the same.
        frames[2] = frame(sender, EPOCH, 3, plan="nul\0")
        writer, sink = Writer(site.url), Settled(5)
        for one in frames:
            await writer.submit(one, sink)
        task = asyncio.create_task(writer.run())
        await asyncio.wait_for(sink.done.wait(), 30)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return sink

    outcomes = asyncio.run(scenario()).outcomes
    assert {sequence: outcome for sequence, (_, outcome) in outcomes.items()} == dict.fromkeys(range(1, 6), STORED)
    refused = {sequence: one.refusal.reason for sequence, (one, _) in outcomes.items() if one.refusal}
    assert refused == {3: "unstorable"}
    assert site.rows("SELECT sequence FROM log WHERE kind = 1 ORDER BY 1") == [(1,), (2,), (4,), (5,)]
    assert site.rows("SELECT sequence FROM log WHERE kind = 4") == [(3,)]
    assert site.rows("SELECT sequence, reason FROM quarantine") == [(3, "unstorable")]


def test_a_bad_value_rolls_the_whole_group_back(site: Site) -> None:
    async def scenario() -> None:
        async with connected(site.url, application="test") as connection:
            sender = await open_session(connection, site, EPOCH)
            with pytest.raises(UnstorableError):
                await append(connection, [frame(sender, EPOCH, 1), frame(sender, EPOCH, 2, plan="nul\0")])

    asyncio.run(scenario())
    assert site.rows("SELECT count(*) FROM log") == [(0,)]
    assert site.rows("SELECT taken::text FROM epoch") == [("{}",)]
    assert site.rows("SELECT max(head) FROM satellite") == [(0,)]


def test_a_writer_keeps_its_frames_while_its_connection_is_cut(site: Site) -> None:
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'nephoscope gateway' AND datname = current_database()"
    )

    async def scenario() -> list[int]:
        async with connected(site.url, application="test") as connection:
            sender = await open_session(connection, site, EPOCH)
        writer, sink = Writer(site.url), Settled(40)
        task = asyncio.create_task(writer.run())
        killed = 0
        for sequence in range(1, 41):
            await writer.submit(frame(sender, EPOCH, sequence), sink)
            if sequence % 10 == 0:
                killed += len(await asyncio.to_thread(site.rows, cut))
        await asyncio.wait_for(sink.done.wait(), 60)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return [killed]

    (killed,) = asyncio.run(scenario())
    assert killed >= 1
    assert site.rows("SELECT count(*), count(DISTINCT sequence), max(ordinal) FROM log") == [(40, 40, 40)]


def test_the_quarantine_keeps_the_newest_hundred_of_a_satellite(site: Site) -> None:
    async def scenario() -> None:
        connection = await connect_async(site.url)
        sender = await open_session(connection, site, EPOCH)
        for begin in range(1, 131, 26):
            frames = [frame(sender, EPOCH, sequence) for sequence in range(begin, begin + 26)]
            refused = [dataclasses.replace(one, refusal=Refusal("limit", "why", b"x" * 100_000)) for one in frames]
            await append(connection, refused)
        await connection.close()

    asyncio.run(scenario())
    assert site.rows("SELECT count(*), min(sequence), max(octet_length(content)) FROM quarantine") == [(100, 31, 65536)]
