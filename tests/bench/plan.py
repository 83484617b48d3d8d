"""How long and how wide the ingest benchmark runs; shorter only while developing, which the output says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """DESIGN §9: at least 4 satellite processes, batches of 10,000 samples, 60 s after 10 s of warm-up."""

    seconds: float = 60.0
    warm_up: float = 10.0
    satellites: int = 4
    guests: int = 500  # of 20 metrics each: 10,000 samples a batch
    runs: int = 1
