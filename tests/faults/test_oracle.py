"""The oracle sees what it is there to see: a lost batch, one stored twice, a wrong value, a sample too few."""

from dataclasses import replace
from uuid import UUID

import numpy as np
from fixtures import accounting
from fixtures.accounting import FrameId, Log, Produced, StoredBatch, compare, longest_silence

EPOCH = UUID(int=7)
TIMES = ((1_000,), (1_500,), (2_000, 2_250))
SERIES = {
    number: (key.resource.key, key.metric, tuple(sorted(key.attributes)))
    for number, key in enumerate(
        (
            key
            for plan in ("fast", "slow")
            for at in range(accounting.RESOURCES)
            for key in accounting.series_of("alpha", plan, at)
        ),
        start=1,
    )
}


def stored(sequence: int, plan: str, times: tuple[int, ...]) -> StoredBatch:
    """Return the batch as a faultless log holds it."""
    number_of = {what: number for number, what in SERIES.items()}
    shown = [
        ((key.resource.key, key.metric, tuple(sorted(key.attributes))), times[index])
        for at, index in accounting.present("alpha", plan, times)
        for key in accounting.series_of("alpha", plan, at)
    ]
    seeds = np.array([accounting.seed_of(*what) for what, _ in shown], dtype=np.uint64)
    at = np.array([time for _, time in shown], dtype=np.int64)
    fraction = np.array([metric == accounting.FRACTION for (_, metric, _), _ in shown])
    values = np.where(fraction, accounting.fractions(seeds, at).view(np.int64), accounting.counts(seeds, at))
    numbers = np.array([number_of[what] for what, _ in shown], dtype=np.int64)
    metrics = tuple(metric for (_, metric, _), _ in shown)
    return StoredBatch(
        FrameId(EPOCH, sequence), "alpha", plan, np.array(times, dtype=np.int64), numbers, at, values, metrics
    )


BATCHES = [stored(at + 1, "slow" if len(times) > 1 else "fast", times) for at, times in enumerate(TIMES)]
LEDGER = [
    Produced(batch.frame, batch.source, batch.plan, len(batch.series), tuple(batch.times.tolist())) for batch in BATCHES
]


def log(*batches: StoredBatch) -> Log:
    return Log(list(batches), [], [batch.frame for batch in batches], list(range(1, len(batches) + 1)), {}, SERIES)


def test_a_faultless_log_is_found_faultless() -> None:
    verdict = compare(LEDGER, log(*BATCHES))
    assert (verdict.lost, verdict.twice, verdict.wrong, verdict.in_doubt) == ([], [], [], [])
    assert verdict.samples == sum(line.samples for line in LEDGER) > 0


def test_a_lost_batch_is_seen() -> None:
    assert compare(LEDGER, log(*BATCHES[1:])).lost == [BATCHES[0].frame]


def test_a_batch_without_a_ledger_line_is_in_doubt() -> None:
    assert compare(LEDGER[1:], log(*BATCHES)).in_doubt == [BATCHES[0].frame]


def test_a_frame_stored_twice_is_seen() -> None:
    assert BATCHES[0].frame in compare(LEDGER, log(*BATCHES, replace(BATCHES[0]))).twice


def test_samples_stored_under_a_second_number_are_seen() -> None:
    again = replace(BATCHES[0], frame=FrameId(UUID(int=8), 1))
    assert again.frame in compare(LEDGER, log(*BATCHES, again)).twice


def test_one_wrong_bit_is_seen() -> None:
    values = BATCHES[0].values.copy()
    values[3] ^= 1
    assert compare(LEDGER, log(replace(BATCHES[0], values=values), *BATCHES[1:])).wrong == [BATCHES[0].frame]


def test_a_sample_too_few_or_at_another_instant_is_seen() -> None:
    one = BATCHES[2]
    short = replace(one, series=one.series[1:], at=one.at[1:], values=one.values[1:], metrics=one.metrics[1:])
    assert compare(LEDGER, log(*BATCHES[:2], short)).wrong == [one.frame]
    moved = replace(one, at=one.at + 1)
    assert compare(LEDGER, log(*BATCHES[:2], moved)).wrong == [one.frame]


def test_a_sample_of_another_series_is_seen() -> None:
    series = BATCHES[0].series.copy()
    series[0], series[3] = series[3], series[0]
    assert compare(LEDGER, log(replace(BATCHES[0], series=series), *BATCHES[1:])).wrong == [BATCHES[0].frame]


def test_silence_is_what_no_gap_covers() -> None:
    assert longest_silence(0, 1_000, []) == 1_000
    assert longest_silence(0, 1_000, [(100, 900, 5)]) == 100
    assert longest_silence(0, 1_000, [(100, 300, 5), (700, 5_000, 5)]) == 400
    assert longest_silence(0, 1_000, [(1_000, 2_000, 5)]) == 1_000
