"""From the log to parts, chunks and rollups on a real PostgreSQL: every sample in one place at any moment."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg
import pytest
from fixtures.compacted import Feed, Sample, block, everything, hot, in_chunks, in_parts, samples_of_block
from fixtures.log import Site

from metaconsole.readers.base import ReaderLoop
from metaconsole.readers.compactor import GRACE_MS, Compactor
from metaconsole.readers.merger import Merger
from metaconsole.store import compaction, merging
from metaconsole.store.database import AsyncConnection, UnavailableError, connected
from metaconsole.store.retention import PARTS_STAY, drop_merged_parts
from shared.columns import encode
from shared.pb import telemetry_pb2 as pb

HOUR = 3_600_000
DAY = 24 * HOUR
GAUGE, WHOLE, COUNTER, STATE = "system.cpu.utilization", "system.memory.usage", "system.cpu.time", "resource.state"
METRICS = (GAUGE, WHOLE, COUNTER, STATE)
START = 20_000 * DAY  # a midnight UTC


async def compact(connection: AsyncConnection, url: str, now_ms: int) -> None:
    """Compact all that is due at an instant."""
    reader = Compactor(url, now_ms)
    await reader.prepare(connection)
    loop = ReaderLoop(url, reader)
    while await loop.look(connection):
        pass


async def merge(connection: AsyncConnection, url: str, now_ms: int) -> int:
    """Merge all days that are over at an instant."""
    return await Merger(url, quiet_seconds=0, now_ms=now_ms).look(connection)


class Random:
    """Batches of every time scope, with what the log then holds."""

    def __init__(self, seed: int, feeds: Sequence[Feed], guests: int) -> None:
        self._random = random.Random(seed)
        self._feeds = feeds
        self._guests = guests
        self.stored: Counter[Sample] = Counter()

    async def append(self, connection: AsyncConnection, begin: int, end: int, count: int) -> None:
        """Append so many batches whose instants lie between begin and end."""
        for _ in range(count):
            feed = self._random.choice(self._feeds)
            at = self._random.randrange(begin, end)
            instants = [at] if self._random.random() < 0.7 else [at, at + 20_000, at + 40_000]
            blocks = [self._block(feed, instants) for _ in range(self._random.randint(1, 3))]
            await feed.append(connection, [feed.frame(instants, blocks)])
            for one in blocks:
                self.stored.update(zip(*samples_of_block(one, np.array(instants)), strict=True))

    def _block(self, feed: Feed, instants: Sequence[int]) -> pb.Block:
        pick = self._random
        metric = pick.choice(METRICS)
        guests = sorted(pick.sample(range(self._guests), pick.randint(1, self._guests)))
        series = [feed.series[metric, guest] for guest in guests]
        scope = pick.choice([pb.TIME_SCOPE_BATCH, pb.TIME_SCOPE_BATCH, pb.TIME_SCOPE_RESOURCE, pb.TIME_SCOPE_SAMPLE])
        if scope == pb.TIME_SCOPE_BATCH:
            return block(metric, series, self._values(metric, len(series) * len(instants)))
        if scope == pb.TIME_SCOPE_RESOURCE:
            return block(
                metric,
                series,
                self._values(metric, len(series)),
                [pick.randrange(len(instants)) for _ in series],
                scope=scope,
            )
        twice = series + series[:1]
        values = self._values(metric, len(twice))
        return block(metric, twice, values, [pick.randrange(-9_000, 9_000) for _ in twice], scope=scope)

    def _values(self, metric: str, count: int) -> list[float]:
        if metric == STATE:
            return [self._random.choice([1, 2, 3]) for _ in range(count)]
        return [self._random.choice([0.0, 1.0, self._random.randrange(100)]) for _ in range(count)]


def largest(samples: Counter[Sample]) -> dict[tuple[int, int], float]:
    """Return the value that counts for each series and instant."""
    found: dict[tuple[int, int], float] = {}
    for series, at, value in samples:
        found[series, at] = max(value, found.get((series, at), value))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_every_sample_is_in_one_place_at_any_moment(site: Site, seed: int) -> None:
    async def scenario() -> None:
        async with connected(site.url, application="test") as connection:
            feeds = [Feed(site.site_id, site.satellites[n]) for n in range(2)]
            for number, feed in enumerate(feeds):
                await feed.open(connection, f"source-{number // 2}", METRICS, 20)
            made = Random(seed, feeds, 20)
            for hour in range(0, 30, 3):
                now = START + hour * HOUR
                await made.append(connection, now, now + 3 * HOUR, 8)
                await made.append(connection, START, now + HOUR, 2)  # late, or not
                await compact(connection, site.url, now + 2 * HOUR + GRACE_MS + 5 * 60_000)
                found = everything(site.url, site.site_id)
                assert set(found) <= set(made.stored), "a sample that nobody sent"
                assert largest(found) == largest(made.stored)
                assert all(found[one] <= made.stored[one] for one in found), "a sample stands in two places"
                if hour in (12, 27):
                    await merge(connection, site.url, now + 3 * DAY)
            with psycopg.connect(site.url) as plain:
                assert list(hot(plain, site.site_id)), "the last hour waits in the log"
                assert list(in_chunks(plain, site.site_id))
            await compact(connection, site.url, START + 10 * DAY)
            await merge(connection, site.url, START + 10 * DAY)
            with psycopg.connect(site.url) as plain:
                chunks = list(in_chunks(plain, site.site_id))
                assert not list(hot(plain, site.site_id))
                assert not list(in_parts(plain, site.site_id))
                assert plain.execute("SELECT count(*) FROM part_day WHERE waits OR round > merging").fetchone() == (0,)
            assert len(chunks) == len({(series, at) for series, at, _ in chunks})
            assert {(series, at): value for series, at, value in chunks} == largest(made.stored)

    asyncio.run(scenario())


class Dying(Compactor):
    """A compactor whose connection is lost after it wrote its parts, a few times."""

    def __init__(self, url: str, now_ms: int, deaths: int) -> None:
        super().__init__(url, now_ms)
        self.deaths = deaths

    async def _write(self, *arguments: object) -> None:
        await super()._write(*arguments)  # type: ignore[arg-type]
        if self.deaths:
            self.deaths -= 1
            raise UnavailableError("the connection is lost")


def test_a_step_is_whole_or_has_not_been(site: Site) -> None:
    async def scenario() -> None:
        async with connected(site.url, application="test") as connection:
            feed = await Feed(site.site_id, site.satellites[0]).open(connection, "source", [GAUGE], 3)
            series = [feed.series[GAUGE, guest] for guest in range(3)]
            for cycle in range(100):
                at = START + cycle * 60_000
                await feed.append(connection, [feed.frame([at], [block(GAUGE, series, [cycle] * 3)])])
            before = everything(site.url, site.site_id)
            reader = Dying(site.url, START + 5 * HOUR, deaths=2)
            await reader.prepare(connection)
            for _ in range(2):
                with pytest.raises(UnavailableError):
                    await ReaderLoop(site.url, reader).look(connection)
                assert everything(site.url, site.site_id) == before
            assert await ReaderLoop(site.url, reader).look(connection) == 100
            with psycopg.connect(site.url) as plain:
                assert len(list(in_parts(plain, site.site_id))) == 300
            assert everything(site.url, site.site_id) == before

    asyncio.run(scenario())


def test_the_hour_that_runs_stays_in_the_log_and_steps_make_no_fragments(site: Site) -> None:
    """Sources whose batches interleave around the boundary still get one part an hour."""

    async def scenario() -> None:
        async with connected(site.url, application="test") as connection:
            feeds = [await Feed(site.site_id, site.satellites[0]).open(connection, "a", [GAUGE], 2)]
            series = [feeds[0].series[GAUGE, guest] for guest in range(2)]
            for cycle in range(-30, 400):
                at = START + HOUR + cycle * 10_000
                late = at - 15_000  # told after the next cycle of the other
                frames = [feeds[0].frame([at], [block(GAUGE, series[:1], [1])])]
                frames.append(feeds[0].frame([late], [block(GAUGE, series[1:], [2])]))
                await feeds[0].append(connection, frames)
                if cycle == 8:
                    await compact(connection, site.url, at)
            await compact(connection, site.url, START + 2 * HOUR + GRACE_MS + 40_000)
            with psycopg.connect(site.url) as plain:
                rows = plain.execute("SELECT hour, cardinality(series) FROM part ORDER BY hour").fetchall()
                assert rows == [(START // HOUR, 2), (START // HOUR + 1, 2)]
                assert all(at >= START + 2 * HOUR for _, at, _ in hot(plain, site.site_id))

    asyncio.run(scenario())


def test_rollups_are_the_hours_of_the_chunk(site: Site) -> None:
    async def scenario() -> None:
        async with connected(site.url, application="test") as connection:
            feed = await Feed(site.site_id, site.satellites[0]).open(connection, "source", METRICS, 1)
            gauge, counter, state = (feed.series[metric, 0] for metric in (GAUGE, COUNTER, STATE))
            began = START - DAY
            # Two hours of six samples: the counter falls without a start (a gap), then begins anew.
            anew = START + 35 * 60_000
            told = [(10, began), (20, began), (15, began), (25, began), (5, anew), (6, anew)]
            for cycle in range(12):
                at = START + cycle * 600_000
                count, start = told[cycle % 6] if cycle < 6 else (100 + cycle, anew)
                blocks = [
                    block(GAUGE, [gauge], [cycle / 10]),
                    block(COUNTER, [counter], [count], starts=[start]),
                    block(STATE, [state], [1 + (cycle >= 3)]),
                ]
                await feed.append(connection, [feed.frame([at], blocks, interval_ms=600_000)])
            await compact(connection, site.url, START + DAY)
            await merge(connection, site.url, START + 3 * DAY)
        with psycopg.connect(site.url) as plain:
            rows = {
                row[0]: row[1:]
                for row in plain.execute(
                    """SELECT series_id, samples, first_at, last_at, first, last, min, max, sum, increase, covered,
                              resets, starts, held FROM rollup WHERE day = %s""",
                    (START // DAY,),
                )
            }
        samples, first_at, last_at, first, last, low, high, total, increase, *_ = rows[gauge]
        assert samples == [6, 6] + [0] * 22
        assert (first_at[:2], last_at[:2]) == ([0, 0], [3_000_000, 3_000_000])
        assert (first[:2], last[:2]) == ([0.0, 0.6], [0.5, 1.1])
        assert (low[:2], high[:2]) == ([0.0, 0.6], [0.5, 1.1])
        assert total[:2] == pytest.approx([1.5, 5.1])
        assert increase is None
        increase, covered, resets, starts = rows[counter][8:12]
        # +10, a fall that says nothing, +10, from zero to 5, +1; then +1 each.
        assert (increase[:2], covered[:2], resets[:2]) == ([26.0, 5.0], [4 * 600_000, 5 * 600_000], [1, 0])
        assert starts[:2] == [began, anew]
        assert rows[counter][5] is None
        assert rows[state][12] == {"1": [1800.0] + [0.0] * 23, "2": [1200.0, 3000.0] + [0.0] * 22}

    asyncio.run(scenario())


def test_what_comes_late_for_a_merged_day_is_merged_into_it(site: Site) -> None:
    async def scenario() -> None:
        async with connected(site.url, application="test") as connection:
            feed = await Feed(site.site_id, site.satellites[0]).open(connection, "source", [GAUGE], 40)
            series = [feed.series[GAUGE, guest] for guest in range(40)]
            for at in (START, START + HOUR):
                await feed.append(connection, [feed.frame([at], [block(GAUGE, series, [1.0] * 40)])])
            await compact(connection, site.url, START + DAY)
            assert await merge(connection, site.url, START + 3 * DAY) == 40
            late = [block(GAUGE, series[:2], [7.0, 0.5])]
            await feed.append(connection, [feed.frame([START + HOUR], late)])
            await feed.append(connection, [feed.frame([START + HOUR // 2], late)])
            await compact(connection, site.url, START + 4 * DAY)
            with psycopg.connect(site.url) as plain:
                assert len(list(in_parts(plain, site.site_id))) == 4
            assert await merge(connection, site.url, START + 5 * DAY) == 2
            with psycopg.connect(site.url) as plain:
                found = {(one, at - START): value for one, at, value in in_chunks(plain, site.site_id)}
                total = plain.execute("SELECT sum FROM rollup WHERE series_id = %s", (series[0],)).fetchone()
        assert len(found) == 82
        assert [found[series[0], at] for at in (0, HOUR // 2, HOUR)] == [1.0, 7.0, 7.0]
        assert [found[series[1], at] for at in (0, HOUR // 2, HOUR)] == [1.0, 0.5, 1.0]
        assert total is not None
        assert total[0][:2] == [8.0, 7.0]

    asyncio.run(scenario())


def test_what_comes_during_a_merge_waits_for_the_next_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metaconsole.readers.merger.SLABS", 1)
    day = START // DAY

    async def scenario() -> None:
        async with connected(site.url, application="test") as connection:
            feed = await Feed(site.site_id, site.satellites[0]).open(connection, "source", [GAUGE], 48)
            series = [feed.series[GAUGE, guest] for guest in range(48)]
            stored: Counter[Sample] = Counter()

            async def append(at: int) -> None:
                await feed.append(connection, [feed.frame([at], [block(GAUGE, series, [1.0] * 48)])])
                stored.update((one, at, 1.0) for one in series)

            def progress() -> list[tuple[object, ...]]:
                assert everything(site.url, site.site_id) == stored
                return site.rows("SELECT waits, round, merging FROM part_day")

            for hour in range(3):
                await append(START + hour * HOUR)
            await compact(connection, site.url, START + DAY)
            assert progress() == [(True, 0, 0)]
            merger = Merger(site.url, quiet_seconds=0, now_ms=START + 3 * DAY)
            merged = await merger._merge(connection, merging.Day(site.site_id, day))
            assert 0 < merged <= 16
            assert progress() == [(False, 1, 0)]
            # Of slabs that are merged and of slabs that are not, in an hour that has parts and in one that has none.
            for minute in (30, 500):
                await append(START + minute * 60_000)
            await compact(connection, site.url, START + 2 * DAY)
            assert progress() == [(True, 1, 0)]
            # A merge that was begun goes on, however new the new parts are.
            hasty = Merger(site.url, now_ms=START + 3 * DAY)
            assert await hasty.look(connection) == 48 - merged
            assert progress() == [(True, 1, 1)]
            assert await hasty.look(connection) == 0
            with psycopg.connect(site.url) as plain:
                assert len(list(in_parts(plain, site.site_id))) == 2 * 48
                assert len(list(in_chunks(plain, site.site_id))) == 3 * 48
            assert await merger.look(connection) == 48
            assert progress() == [(False, 2, 2)]
            with psycopg.connect(site.url) as plain:
                assert Counter(in_chunks(plain, site.site_id)) == stored

    asyncio.run(scenario())


def test_the_second_satellite_of_a_step_may_be_the_first_of_its_day(site: Site) -> None:
    async def scenario() -> None:
        async with connected(site.url, application="test") as connection:
            for day, satellite in enumerate(sorted(site.satellites)):
                feed = await Feed(site.site_id, satellite).open(connection, "source", [GAUGE], 1)
                one = block(GAUGE, [feed.series[GAUGE, 0]], [1.0])
                await feed.append(connection, [feed.frame([START + day * DAY], [one])])
            before = everything(site.url, site.site_id)
            await compact(connection, site.url, START + 10 * DAY)
            assert len(before) == len(site.satellites)
            assert everything(site.url, site.site_id) == before
            with psycopg.connect(site.url) as plain:
                assert not list(hot(plain, site.site_id))

    asyncio.run(scenario())


def test_what_comes_after_the_parts_were_dropped_makes_a_piece_again(site: Site) -> None:
    async def scenario() -> None:
        async with connected(site.url, application="test") as connection:
            feed = await Feed(site.site_id, site.satellites[0]).open(connection, "source", [GAUGE], 2)
            series = [feed.series[GAUGE, guest] for guest in range(2)]
            reader = Compactor(site.url, START + 2 * DAY)
            await reader.prepare(connection)
            stored: Counter[Sample] = Counter()
            for minute in range(3):
                at = START + minute * 60_000
                await feed.append(connection, [feed.frame([at], [block(GAUGE, series, [1.0, 2.0])])])
                stored.update({(series[0], at, 1.0): 1, (series[1], at, 2.0): 1})
                # The same process, which has seen the piece of the day.
                site.rows("UPDATE compaction SET through_ms = 0")
                assert await ReaderLoop(site.url, reader).look(connection) == 1
                assert site.rows("SELECT count(*), min(round) FROM unmerged_part") == [(1, 0)]
                assert everything(site.url, site.site_id) == stored
                assert await merge(connection, site.url, START + 3 * DAY) == 2
                assert everything(site.url, site.site_id) == stored
                dropped = await drop_merged_parts(connection, datetime.now(UTC) + 2 * PARTS_STAY)
                assert any(name.startswith("part_2024") for name in dropped)
                assert everything(site.url, site.site_id) == stored

    asyncio.run(scenario())


def test_a_hole_in_the_log_stops_the_compactor_of_that_satellite_loudly(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with connected(site.url, application="test") as connection:
            feeds = [
                await Feed(site.site_id, site.satellites[n]).open(connection, f"s{n}", [GAUGE], 1) for n in range(2)
            ]
            for feed in feeds:
                for at in range(3):
                    one = [block(GAUGE, [feed.series[GAUGE, 0]], [1.0])]
                    await feed.append(connection, [feed.frame([START + at], one)])
            site.rows(f"DELETE FROM log WHERE ordinal = 2 AND satellite_id = '{feeds[0].satellite_id}'")
            await compact(connection, site.url, START + DAY)
        with psycopg.connect(site.url) as plain:
            assert len(list(in_parts(plain, site.site_id))) == 3
        assert "row 2 of the log" in caplog.text

    asyncio.run(scenario())


def test_backfill_that_piles_up_does_not_wait_for_the_hour(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metaconsole.readers.compactor.LATE_ROWS", 5)
    monkeypatch.setattr("metaconsole.readers.compactor.LATE_SAMPLES", 10)

    async def scenario() -> None:
        async with connected(site.url, application="test") as connection:
            feed = await Feed(site.site_id, site.satellites[0]).open(connection, "source", [GAUGE], 1)
            one = feed.series[GAUGE, 0]
            now = START + DAY + 10 * 60_000
            await feed.append(connection, [feed.frame([now], [block(GAUGE, [one], [0.5])])])
            await compact(connection, site.url, now)
            for at in range(25):
                frames = [feed.frame([START + at * 60_000], [block(GAUGE, [one], [float(at)])])]
                await feed.append(connection, frames)
            await compact(connection, site.url, now)
            with psycopg.connect(site.url) as plain:
                assert len(list(in_parts(plain, site.site_id))) == 20  # two steps of ten; five wait
                assert max(at for _, at, _ in hot(plain, site.site_id)) == now
            assert len(everything(site.url, site.site_id)) == 26
            assert site.rows("SELECT seen, through_ms FROM compaction") == [(21, START + DAY)]
            # The row that holds the running hour's sample; the next hour's end takes all of it.
            assert site.rows("SELECT max(ordinal) FROM reader_position") == [(0,)]
            await compact(connection, site.url, now + HOUR)
            assert site.rows("SELECT max(ordinal) FROM reader_position") == [(26,)]
            assert compaction.READER == "compactor"

    asyncio.run(scenario())


def test_a_source_larger_than_memory_allows_is_done_metric_by_metric(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metaconsole.readers.compactor.UNIT_SAMPLES", 100)
    written = []
    original = compaction.write_parts

    async def counted(*arguments: Any) -> int:
        written.append(len(arguments[3].series))
        return await original(*arguments)

    monkeypatch.setattr(compaction, "write_parts", counted)

    async def scenario() -> None:
        async with connected(site.url, application="test") as connection:
            feed = await Feed(site.site_id, site.satellites[0]).open(connection, "source", METRICS, 10)
            for cycle in range(10):
                at = START + cycle * 10_000
                blocks = [block(m, [feed.series[m, guest] for guest in range(10)], [cycle] * 10) for m in METRICS]
                await feed.append(connection, [feed.frame([at], blocks)])
            before = everything(site.url, site.site_id)
            await compact(connection, site.url, START + DAY)
            assert written == [10] * len(METRICS)
            assert everything(site.url, site.site_id) == before

    asyncio.run(scenario())


def test_a_backlog_is_done_hour_by_hour(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metaconsole.readers.compactor.UNIT_SAMPLES", 90)
    monkeypatch.setattr(compaction, "BYTES", 1_000)  # of blocks: several statements an hour
    written = []
    original = compaction.write_parts

    async def counted(
        connection: AsyncConnection, site_id: int, rounds: Mapping[int, int], hours: compaction.Hours, grids: object
    ) -> int:
        written.append(np.unique(hours.hours).tolist())
        return await original(connection, site_id, rounds, hours, grids)  # type: ignore[arg-type]

    monkeypatch.setattr(compaction, "write_parts", counted)

    async def scenario() -> None:
        async with connected(site.url, application="test") as connection:
            feed = await Feed(site.site_id, site.satellites[0]).open(connection, "source", METRICS, 10)
            # 120 samples an hour are too much at once, but for the two hours with 40.
            for at in [*range(0, 3 * HOUR, HOUR // 3), 3 * HOUR, 4 * HOUR]:
                blocks = [block(m, [feed.series[m, guest] for guest in range(10)], [at] * 10) for m in METRICS]
                await feed.append(connection, [feed.frame([START + at], blocks)])
            before = everything(site.url, site.site_id)
            await compact(connection, site.url, START + DAY)
            first = START // HOUR
            assert written == [[first]] * 2 + [[first + 1]] * 2 + [[first + 2]] * 2 + [[first + 3, first + 4]]
            assert everything(site.url, site.site_id) == before

    asyncio.run(scenario())


def test_values_keep_their_type_and_every_bit(site: Site) -> None:
    values = [2**62 + 1, -(2**62), 0]

    async def scenario() -> None:
        async with connected(site.url, application="test") as connection:
            feed = await Feed(site.site_id, site.satellites[0]).open(connection, "source", [WHOLE], 3)
            series = [feed.series[WHOLE, guest] for guest in range(3)]
            for at in range(4):
                one = block(WHOLE, series, [0, 0, 0])
                one.values.CopyFrom(encode(np.array(values, np.int64) + at))
                await feed.append(connection, [feed.frame([START + at], [one])])
            await compact(connection, site.url, START + DAY)
            await merge(connection, site.url, START + 3 * DAY)
        with psycopg.connect(site.url) as plain:
            found = {(one, at - START): value for one, at, value in in_chunks(plain, site.site_id)}
        assert found == {(one, at): value + at for one, value in zip(series, values, strict=True) for at in range(4)}

    asyncio.run(scenario())


def test_the_views_tell_the_same_hours_before_and_after_the_day_is_merged(site: Site) -> None:
    columns = "metric, hour, samples, first, last, increase, covered_seconds, resets, held"

    def hours() -> list[tuple[object, ...]]:
        return site.rows(f"SELECT {columns} FROM metric_hour ORDER BY metric, hour")

    async def scenario() -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
        async with connected(site.url, application="test") as connection:
            feed = await Feed(site.site_id, site.satellites[0]).open(connection, "source", METRICS, 1)
            for cycle in range(8):
                blocks = [
                    block(GAUGE, [feed.series[GAUGE, 0]], [cycle / 10]),
                    block(COUNTER, [feed.series[COUNTER, 0]], [100 * cycle], starts=[START - DAY]),
                    block(STATE, [feed.series[STATE, 0]], [1 + cycle // 6]),
                ]
                frame = feed.frame([START + cycle * 900_000], blocks, interval_ms=900_000)
                await feed.append(connection, [frame])
            await compact(connection, site.url, START + DAY)
            before = hours()
            await merge(connection, site.url, START + 3 * DAY)
            return before, hours()

    before, after = asyncio.run(scenario())
    assert len(before) == 6
    told = {(metric, hour.timestamp() * 1000 - START): rest for metric, hour, *rest in before}  # type: ignore[attr-defined]
    assert told[GAUGE, 0][:3] == [4, 0.0, 0.3]
    assert told[COUNTER, HOUR] == [4, 400.0, 700.0, 300.0, 2700.0, 0, None]
    assert told[STATE, HOUR][-1] == {"1": 1800.0, "2": 900.0}
    for one, other in zip(before, after, strict=True):
        assert one[:5] == other[:5]
        if one[0] == COUNTER:
            assert one == other
        assert one[-1] == other[-1]
