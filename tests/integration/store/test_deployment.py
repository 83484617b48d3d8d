"""A database that went back begins a new life: earlier sessions store nothing, and satellites learn of it."""

import asyncio
import uuid

from click.testing import CliRunner
from fixtures.log import Site, frame, open_session

from metaconsole.cli import metaconsole
from metaconsole.home import DATABASE_ENVIRONMENT
from metaconsole.store.database import connected
from metaconsole.store.epochs import Registration, register
from metaconsole.store.frames import Outcome
from metaconsole.store.log import append

EPOCH = uuid.UUID(int=7)


def restored(site: Site) -> str:
    """Run the command as an operator does."""
    done = CliRunner().invoke(metaconsole, ["db", "restored"], env={DATABASE_ENVIRONMENT: site.url})
    assert done.exit_code == 0, done.output
    return done.output


def test_after_a_restore_no_session_of_before_stores_anything_and_the_incarnation_is_a_new_one(site: Site) -> None:
    async def greet(number: int) -> Registration:
        async with connected(site.url, application="test") as connection:
            return await register(connection, site.site_id, site.satellites[number], EPOCH, [])

    async def scenario() -> tuple[list[Outcome], Registration, Registration]:
        async with connected(site.url, application="test") as connection:
            sender = await open_session(connection, site, EPOCH)
            before = await greet(1)
            # The dump was made before this session, and the next session after the restore gets the same number.
            await asyncio.to_thread(site.rows, "UPDATE satellite SET session = session - 1")
            said = await asyncio.to_thread(restored, site)
            after = await greet(0)
            assert str(after.incarnation) in said
            assert after.session > sender.session
            return await append(connection, [frame(sender, EPOCH, 1)]), before, after

    outcomes, before, after = asyncio.run(scenario())
    assert outcomes == [Outcome.FENCED]
    assert before.incarnation != after.incarnation
    assert site.rows("SELECT count(*) FROM log") == [(0,)]


def test_every_restore_begins_another_life(site: Site) -> None:
    lives = set()
    for _ in range(3):
        restored(site)
        lives |= {incarnation for (incarnation,) in site.rows("SELECT incarnation FROM deployment")}
    assert len(lives) == 3
    assert site.rows("SELECT count(*) FROM deployment") == [(1,)]
