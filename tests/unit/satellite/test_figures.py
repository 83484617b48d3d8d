"""What an operator reads of the spool: how full, when full, what was lost; and the forecast behind it."""

from satellite.figures import load_lines, size, span, spool_lines
from satellite.growth import Growth

GIB = 1024**3
HOUR = 3_600_000


def test_the_spool_in_words() -> None:
    beat = {
        "spool_frames": "12345", "spool_bytes": str(GIB * 6 // 5), "spool_bound_bytes": str(2 * GIB),
        "spool_full_seconds": str(9 * 3600), "oldest_unsent_ms": str(10 * HOUR), "spool_kept_bytes": str(GIB // 2),
        "disk_free_bytes": str(35 * GIB), "spool_dropped_frames": "7", "spool_dropped_samples": "4200",
    }  # fmt: skip
    assert spool_lines(beat, 13 * HOUR) == [
        "  spool   1.2 GiB of 2 GiB, full in 9 h at this rate; 12345 frames wait, oldest unsent 3 h ago",
        "  disk    35 GiB free; 512 MiB are delivered and kept, and give way to what is new",
        "  dropped 7 frames with 4200 samples since start: the spool or its disk was full",
    ]


def test_a_status_of_an_older_satellite_is_shown_as_far_as_it_goes() -> None:
    beat = {"spool_frames": 0, "spool_bytes": 0, "oldest_unsent_ms": "0"}
    assert spool_lines(beat, HOUR) == ["  spool   0 B; nothing waits"]


def test_the_load_on_a_source_in_words() -> None:
    plans = [
        {"plan": "realtime", "interval_seconds": 60.0, "stretch": 2, "busy_seconds": 31.04},
        {"plan": "history", "interval_seconds": 300.0, "stretch": 1, "busy_seconds": 2.0},
    ]
    told = {"budget": 0.25, "calls_per_minute": 12.4, "bytes_per_minute": 2.0**21, "busy_per_minute": 7.5}
    assert load_lines(told | {"plans": plans}) == [
        "          a minute 12 calls, 2 MiB and 7.5 s of its time, 50 % of its budget",
        "          realtime is asked every 120 s instead of 60 s: the source took 31.0 s to answer",
    ]
    assert load_lines({"source": "vc", "state": "ok"}) == [], "an older satellite tells none of it"


def test_spans_and_sizes_have_the_unit_that_fits() -> None:
    assert [span(seconds) for seconds in (0, 59, 60, 5400, 86_400 * 3)] == ["0 s", "59 s", "1 min", "2 h", "3 d"]
    assert [size(value) for value in (0, 1023, 1536, 5 * GIB)] == ["0 B", "1023 B", "1.5 KiB", "5 GiB"]


def test_the_forecast_is_the_growth_of_the_last_minutes() -> None:
    growth = Growth()
    assert growth.seconds_until(1000) == 0
    for second in range(0, 56, 5):
        growth.note(second, 100 + second)
    assert growth.seconds_until(1000) == 0, "less than a minute says nothing"
    for second in range(56, 130, 2):
        growth.note(second, 100 + second)
    assert growth.seconds_until(1000) == 1000
    assert growth.seconds_until(-5) == 1
    assert growth.seconds_until(31 * 86_400) == 0, "too far away to mean anything"
    for second in range(130, 700, 2):
        growth.note(second, 5000 - second)
    assert growth.seconds_until(1000) == 0, "it shrinks: what was before the last minutes does not count"
