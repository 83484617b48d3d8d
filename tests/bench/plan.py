"""How long and how wide the benchmarks run; shorter only while developing, which the output says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """DESIGN §9: at least 4 satellite processes, batches of 10,000 samples, 60 s after 10 s of warm-up."""

    seconds: float = 60.0
    warm_up: float = 10.0
    satellites: int = 4
    guests: int = 500  # of 20 metrics each: 10,000 samples a batch
    runs: int = 1
    sessions: int = 5_000  # of one gateway
    session_guests: int = 100  # 2,000 samples a batch
    session_interval: float = 10.0  # seconds between two batches of a session
    session_processes: int = 2  # hold the other end of the sessions
    day_cycles: int = 8_640  # a day at 10 s
    asked: int = 100  # questions of a view, in the sweeps
    vsphere: tuple[int, int, int] = (10, 20, 1_000)  # clusters, and hosts and guests of each
    vsphere_interval: float = 60.0  # seconds between two realtime cycles
    vsphere_cycles: int = 3  # that are measured

    @property
    def sweep_seconds(self) -> float:
        """Measured seconds of one size in a sweep: there are many."""
        return self.seconds / 5

    @property
    def sweep_warm_up(self) -> float:
        """Seconds before that."""
        return self.warm_up / 3
