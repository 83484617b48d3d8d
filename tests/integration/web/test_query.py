"""Samples from the log to the API and back, against the values that were stored."""

import random
import time

import numpy as np
import pytest
from apiflask import APIFlask
from fixtures.web import Api, Browser, Site, World, now_ms, sign_in

from metaconsole.live_view import LiveWriter
from metaconsole.settings import Settings
from metaconsole.store.database import connect
from metaconsole.store.dictionary import series_of
from metaconsole.store.query import read
from metaconsole.store.scope import EVERYTHING, Scope
from shared.columns import encode
from shared.pb import telemetry_pb2 as pb

GAUGE, COUNTER = "system.cpu.utilization", "system.cpu.time"


@pytest.fixture
def start() -> int:
    return now_ms() // 60_000 * 60_000 - 30 * 60_000


def _guests(world: World, site: Site, count: int) -> list[int]:
    series = []
    for index in range(count):
        world.resource(site, f"guest-{index}")
        series.append(world.series(site, f"guest-{index}", GAUGE))
    return series


def test_every_sample_comes_back_once_whatever_its_time_scope(world: World, start: int, database_url: str) -> None:
    site, generator = world.site("a"), random.Random(1)
    ids = _guests(world, site, 5)
    other = world.series(site, "guest-0", COUNTER)
    stored: dict[tuple[int, int], float] = {}

    def note(series: int, at: int, value: float) -> None:
        stored[series, at] = max(value, stored.get((series, at), value))

    for cycle in range(40):
        times = [start + cycle * 10_000, start + cycle * 10_000 + 5_000]
        values = {one: [generator.random() for _ in times] for one in generator.sample(ids, 3)}
        world.batch(site, times, {COUNTER: {other: [cycle, cycle]}, GAUGE: values})
        for one, row in values.items():
            for at, value in zip(times, row, strict=True):
                note(one, at, value)
        block = pb.Block(metric=GAUGE, scope=pb.TIME_SCOPE_RESOURCE)
        block.series.CopyFrom(encode(np.array(ids[:2])))
        block.times.CopyFrom(encode(np.array([1, 0])))
        block.values.CopyFrom(encode(np.array([0.25, 0.75])))
        world.blocks(site, times, [(GAUGE, block)])
        note(ids[0], times[1], 0.25)
        note(ids[1], times[0], 0.75)
        block = pb.Block(metric=GAUGE, scope=pb.TIME_SCOPE_SAMPLE)
        block.series.CopyFrom(encode(np.array([ids[4], ids[3], ids[4]])))
        block.times.CopyFrom(encode(np.array([-3, 17, 4])))
        block.values.CopyFrom(encode(np.array([3, 5, 2**40])))
        world.blocks(site, times, [(GAUGE, block)])
        for one, delta, value in ((ids[4], -3, 3.0), (ids[3], 17, 5.0), (ids[4], 4, float(2**40))):
            note(one, times[0] + delta, value)

    span = (start + 50_000, start + 300_000)
    with connect(database_url) as connection:
        wanted = [
            one for one in series_of(connection, EVERYTHING, list(site.resources.values())) if one.metric == GAUGE
        ]
        got = read(connection, EVERYTHING, wanted, *span)
        nothing = read(connection, Scope(frozenset({site.site_id + 1})), wanted, *span)
    expected = {key: value for key, value in stored.items() if span[0] <= key[1] < span[1]}
    assert (
        dict(zip(zip(got.series.tolist(), got.times.tolist(), strict=True), got.values.tolist(), strict=True))
        == expected
    )
    assert len(got.times) == len(expected)
    assert sorted(zip(got.series.tolist(), got.times.tolist(), strict=True)) == list(
        zip(got.series.tolist(), got.times.tolist(), strict=True)
    )
    assert len(nothing.times) == 0


def test_raw_samples_and_steps(world: World, api: Api, start: int) -> None:
    site = world.site("a")
    world.resource(site, "host", "host")
    gauge, counter = world.series(site, "host", GAUGE), world.series(site, "host", COUNTER, {"cpu.mode": "user"})
    for index in range(12):
        if index not in (4, 5, 6, 7):
            value = [7.0 if index > 8 else float(index * 10)]
            world.batch(site, [start + index * 10_000], {GAUGE: {gauge: [index / 10]}, COUNTER: {counter: value}})
    question = {"select": [{"resource": site.resources["host"], "metric": GAUGE}], "from": start, "to": start + 120_000}
    (raw,) = api.post("/api/v1/query", {**question, "step": None}).get_json()["series"]
    assert raw["times"] == [start + index * 10_000 for index in (0, 1, 2, 3, 8, 9, 10, 11)]
    assert raw["values"] == pytest.approx([0, 0.1, 0.2, 0.3, 0.8, 0.9, 1.0, 1.1])
    assert (raw["id"], raw["resource"], raw["metric"], raw["attributes"]) == (
        str(gauge),
        site.resources["host"],
        GAUGE,
        {},
    )
    (steps,) = api.post("/api/v1/query", {**question, "step": 20_000, "aggregate": "max"}).get_json()["series"]
    assert steps["times"] == [start + index * 20_000 for index in range(6)]
    assert steps["values"] == [
        pytest.approx(0.1),
        pytest.approx(0.3),
        None,
        None,
        pytest.approx(0.9),
        pytest.approx(1.1),
    ]
    question["select"] = [{"resource": site.resources["host"], "metric": COUNTER}]
    (rate,) = api.post("/api/v1/query", {**question, "step": 20_000, "aggregate": "rate"}).get_json()["series"]
    # 0 10 | 20 30 | - | - | 80 then 7, which nobody said was a reset | 7 7
    assert rate["values"] == pytest.approx([1.0, 1.0, None, None, 50 / 50, 0.0])
    assert rate["unit"] == "s/s"


def test_the_top_is_ranked_over_the_range(world: World, api: Api, start: int) -> None:
    site, far = world.site("a"), world.site("b")
    ids = _guests(world, site, 4)
    world.resource(far, "far")
    distant = world.series(far, "far", GAUGE)
    world.batch(site, [start], {GAUGE: {one: [rank] for one, rank in zip(ids, (0.2, 0.9, 0.1, 0.5), strict=True)}})
    world.batch(far, [start], {GAUGE: {distant: [0.7]}})
    body = {"from": start, "to": start + 60_000, "step": 60_000, "aggregate": "avg"}
    select = {"kind": "guest", "metric": GAUGE, "top": 2}
    answer = api.post("/api/v1/query", {**body, "select": [select]}).get_json()["series"]
    assert [one["id"] for one in answer] == [str(ids[1]), str(distant)]
    answer = api.post("/api/v1/query", {**body, "select": [{**select, "site": "a"}]}).get_json()["series"]
    assert [one["id"] for one in answer] == [str(ids[1]), str(ids[3])]


def test_the_top_of_the_newest_values_is_of_those_that_are_fresh(
    app: APIFlask, world: World, api: Api, settings: Settings, database_url: str, start: int
) -> None:
    near, far = world.site("a"), world.site("b")
    ids = _guests(world, near, 4)
    world.resource(far, "far")
    distant = world.series(far, "far", GAUGE)
    world.resource(far, "box", "host")
    other_kind = world.series(far, "box", GAUGE)
    writer, now = LiveWriter(settings.run), now_ms()
    series = np.array([*ids, distant, other_kind])
    writer.update(series, np.full(6, now), np.array([0.2, 0.9, 0.2, 0.5, 0.7, 1.0]), 10_000)
    writer.update(np.array(ids[1:2]), np.array([now - 60_000]), np.array([0.9]), 10_000)
    writer.publish()
    body = {"from": start, "to": start + 60_000}

    def top(asking: Api | Browser, count: int, **more: str) -> list[str]:
        select = {"kind": "guest", "metric": GAUGE, "top": count, **more}
        return [one["id"] for one in asking.post("/api/v1/query", {**body, "select": [select]}).get_json()["series"]]

    assert top(api, 3) == [str(ids[1]), str(distant), str(ids[3])]
    assert top(api, 9) == [str(one) for one in (ids[1], distant, ids[3], ids[0], ids[2])]
    assert top(api, 2, site="a") == [str(ids[1]), str(ids[3])]
    assert top(api, 2, site="nowhere") == []
    assert top(sign_in(app, database_url, "ana", sites=("b",)), 5) == [str(distant)]
    world.resource(near, "late")
    late = world.series(near, "late", GAUGE)
    writer.update(np.array([late, ids[1]]), np.array([now, now + 1]), np.array([0.95, 0.1]), 10_000)
    assert top(api, 2) == [str(late), str(distant)], "a new series is known at once"
    writer.update(np.array([late]), np.array([now + 2]), np.array([1.0]), 1)
    time.sleep(0.01)
    assert top(api, 1) == [str(distant)], "what is older than two intervals is unknown"


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("sum", [[9.0, 3.0], [50.0, None]]),
        ("avg", [[3.0, 3.0], [50.0, None]]),
        ("min", [[1.0, 3.0], [50.0, None]]),
        ("max", [[6.0, 3.0], [50.0, None]]),
        ("count", [[3.0, 1.0], [1.0, 0.0]]),
        ("p50", [[2.0, 3.0], [50.0, None]]),
        ("p90", [[5.2, 3.0], [50.0, None]]),
    ],
)
def test_series_of_a_group_are_combined_by_step(
    world: World, api: Api, start: int, how: str, expected: list[list[float | None]]
) -> None:
    near, far = world.site("a"), world.site("b")
    ids = _guests(world, near, 3)
    world.resource(far, "far", "host")
    distant = world.series(far, "far", GAUGE)
    world.batch(near, [start], {GAUGE: {ids[0]: [1.0], ids[1]: [2.0], ids[2]: [6.0]}})
    world.batch(near, [start + 60_000], {GAUGE: {ids[1]: [3.0]}})
    world.batch(far, [start], {GAUGE: {distant: [50.0]}})
    question = {"from": start, "to": start + 120_000, "step": 60_000}
    select = {"metric": GAUGE, "group_by": ["site", "kind", "os.type", "no.such"], "combine": how}
    answer = api.post("/api/v1/query", {**question, "select": [select]}).get_json()
    assert answer["series"] == []
    assert [one["group"] for one in answer["groups"]] == [
        {"site": site, "kind": kind, "os.type": "linux", "no.such": ""}
        for site, kind in (("a", "guest"), ("b", "host"))
    ]
    assert [one["values"] for one in answer["groups"]] == [pytest.approx(row) for row in expected]
    assert [one["series"] for one in answer["groups"]] == [3, 1]
    assert answer["groups"][0]["times"] == [start, start + 60_000]
    assert answer["groups"][0]["unit"] == ("{series}" if how == "count" else "1")
    select = {"metric": GAUGE, "kind": "guest", "group_by": [], "combine": how}
    (one,) = api.post("/api/v1/query", {**question, "select": [select]}).get_json()["groups"]
    assert (one["group"], one["values"]) == ({}, pytest.approx(expected[0]))


def test_a_group_is_by_attributes_of_its_series_and_within_the_scope(
    app: APIFlask, world: World, database_url: str, start: int
) -> None:
    near, far = world.site("a"), world.site("b")
    for site in (near, far):
        world.resource(site, "host", "host")
        for mode, value in (("user", 10.0), ("system", 20.0)):
            series = world.series(site, "host", COUNTER, {"cpu.mode": mode})
            world.batch(site, [start], {COUNTER: {series: [value]}})
            world.batch(site, [start + 30_000], {COUNTER: {series: [value + 60.0]}})
    question = {"from": start, "to": start + 60_000, "step": 60_000, "aggregate": "rate"}
    select = {"metric": COUNTER, "group_by": ["cpu.mode"], "combine": "sum"}
    asking = sign_in(app, database_url, "ana", sites=("b",))
    answer = asking.post("/api/v1/query", {**question, "select": [select]}).get_json()
    assert [(one["group"], one["values"], one["series"]) for one in answer["groups"]] == [
        ({"cpu.mode": "system"}, [2.0], 1),
        ({"cpu.mode": "user"}, [2.0], 1),
    ]
    assert answer["groups"][0]["unit"] == "s/s"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"step": 1}, "more than 10000 steps"),
        ({"to": 1}, "from lies before to"),
        ({"select": []}, "select"),
        ({"aggregate": "median"}, "aggregate"),
        ({"aggregate": "rate"}, "rate is for counters"),
        ({"aggregate": "increase"}, "increase is for counters"),
        ({"surplus": 1}, "surplus"),
        ({"from": -1}, "from"),
        ({"from": 2**70}, "from"),
        ({"from": "now"}, "from"),
        ({"select": [{"resource": "x", "metric": GAUGE}]}, "select.0"),
        ({"select": [{"kind": "guest", "metric": GAUGE, "top": 10_000}]}, "top"),
        ({"select": [{"metric": GAUGE, "group_by": [], "combine": "p50"}], "step": None}, "give a step"),
        ({"select": [{"metric": GAUGE, "group_by": [], "combine": "median"}]}, "combine"),
        ({"select": [{"metric": GAUGE, "group_by": ["x"] * 9, "combine": "sum"}]}, "group_by"),
    ],
)
def test_what_can_not_be_answered_is_told(api: Api, change: dict[str, object], told: str) -> None:
    question = {"select": [{"kind": "guest", "metric": GAUGE, "top": 3}], "from": 5, "to": 5_000_000, "step": 10_000}
    response = api.post("/api/v1/query", {**question, **change})
    assert response.status_code == 422
    assert response.mimetype == "application/problem+json"
    assert told in response.get_json()["detail"]


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b'"x"', b"[" * 100_000, b"\xff"])
def test_what_is_no_question_is_refused(api: Api, body: bytes) -> None:
    headers = {**api.headers, "Content-Type": "application/json"}
    response = api.client.post("/api/v1/query", data=body, headers=headers)
    assert response.status_code in (400, 422)
    assert response.mimetype == "application/problem+json"
