"""The mix: what it was stays what it was; other intervals and jitter show the same guests."""

import hashlib

import numpy as np
import pytest
from bench import mix


def test_the_usual_mix_is_the_one_that_was_always_measured() -> None:
    data = mix.generate(7, 3, 5)
    digest = hashlib.sha256()
    for metric in mix.METRICS:
        for cycle in range(11):  # two laps and a bit
            digest.update(data.at(metric, cycle).tobytes())
    assert digest.hexdigest() == "64195035e2ae3eceb42703600c3fc5338dfe6fd1bd3f1543f3b70d4892b049b5"


def test_a_longer_interval_sees_the_same_guests_less_often() -> None:
    fine, coarse = mix.generate(3, 4, 60), mix.generate(3, 4, 10, interval_ms=60_000)
    for metric in mix.METRICS:
        for cycle in range(25):  # beyond the generated ones, where counters go on
            assert np.array_equal(coarse.at(metric, cycle), fine.at(metric, 6 * cycle + 5)), metric


def test_instants_are_aligned_or_jittered_around_their_cycle() -> None:
    aligned = mix.generate(0, 50, 2, interval_ms=60_000)
    assert aligned.instants(1_000, 3).tolist() == [181_000] * 50
    jittered = mix.generate(0, 50, 2, jitter_ms=250)
    found = np.array([jittered.instants(0, cycle) for cycle in range(40)])
    offsets = found - 10_000 * np.arange(40)[:, None]
    assert -250 <= offsets.min() < -200 < 200 < offsets.max() <= 250
    assert (np.diff(found, axis=0) > 0).all()
    assert np.array_equal(found[7], mix.generate(0, 50, 2, jitter_ms=250).instants(0, 7))
    assert len({tuple(row) for row in offsets.tolist()}) == 40


@pytest.mark.parametrize(("interval", "jitter"), [(15_000, 0), (0, 0), (5_000, 0), (10_000, 5_000), (10_000, -1)])
def test_what_can_not_be_is_refused(interval: int, jitter: int) -> None:
    with pytest.raises(ValueError, match="multiple"):
        mix.generate(0, 1, 1, interval_ms=interval, jitter_ms=jitter)
