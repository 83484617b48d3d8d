"""What was set for a site reaches its open sessions: the budget of backfill, and how long raw samples are kept."""

import asyncio
from datetime import UTC, datetime

import pytest
from fixtures.gateway import Place, batch, connected, rows
from fixtures.waiting import SLACK

from metaconsole.store.budgets import Budget
from metaconsole.store.database import connect
from metaconsole.store.retention_settings import change
from metaconsole.store.site_settings import set_budget
from metaconsole.store.sites import ensure_site


def test_the_budget_of_a_site_reaches_its_open_sessions(place: Place) -> None:
    def set_to(*values: int) -> None:
        with connect(place.settings.database_url) as connection:
            set_budget(connection, "home", Budget(*values), "tests")

    async def scenario() -> list[tuple[int, int, int]]:
        told = []
        set_to(256, 60, 120)
        async with connected(place) as client:
            await client.hello()
            for values in ((512, 0, 0), (0, 0, 0), None):
                message = (await client.read()).backfill
                told.append((message.kbit_per_second, message.from_minute, message.to_minute))
                if values is not None:
                    await asyncio.to_thread(set_to, *values)
        return told

    assert asyncio.run(scenario()) == [(256, 60, 120), (512, 0, 0), (0, 0, 0)]


def test_how_old_a_sample_may_be_follows_the_rules_of_its_site(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metaconsole.gateway.window.RULES_SECONDS", 0.05)

    def keep(days: int, site: str | None) -> None:
        with connect(place.settings.database_url) as connection:
            change(connection, "test", "raw", site, None, days)

    async def scenario() -> list[str]:
        reasons: list[str] = []

        async def send(days: float) -> str:
            at_ms = int(datetime.now(UTC).timestamp() * 1000 - days * 86_400_000)
            await client.frame(len(reasons) + 1, batch=batch([1, 2], [0.1, 0.2], at_ms=at_ms))
            (ack,) = await client.acks(1)
            reasons.append(ack.refused[0].reason if ack.refused else "")
            return ack.refused[0].detail if ack.refused else ""

        async with connected(place) as client:
            await client.hello()
            await client.define(2)
            # Of another site the rule does not matter, and of its own site it does not matter that others keep more.
            assert await send(29.9) == ""
            assert "from 30 days before" in await send(30.1)
            await asyncio.to_thread(keep, 60, "home")
            end = asyncio.get_running_loop().time() + 10 * SLACK
            while await send(59.9):
                assert asyncio.get_running_loop().time() < end, "the rule is not taken over"
                await asyncio.sleep(0.05)
            assert "from 60 days before" in await send(60.1)
        return reasons

    with connect(place.settings.database_url) as connection:
        ensure_site(connection, "elsewhere")
    keep(30, "home")
    keep(300, "elsewhere")
    reasons = asyncio.run(scenario())
    assert set(reasons) == {"", "skew"}
    assert rows(place, "SELECT count(*) FROM log WHERE kind = 1") == [(2,)]
    assert rows(place, "SELECT DISTINCT reason FROM quarantine") == [("skew",)]
