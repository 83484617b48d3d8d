"""How often somebody may fail: a burst, then one at a time, and bounded memory."""

from metaconsole.gateway import attempts
from metaconsole.gateway.attempts import Attempts


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_after_a_burst_one_more_fits_with_time() -> None:
    clock = Clock()
    tries = Attempts(3, 10.0, clock)
    for _ in range(3):
        assert tries.wait("a") == 0
        tries.spend("a")
    assert tries.wait("a") == 10.0
    assert tries.wait("b") == 0
    clock.now += 5
    assert tries.wait("a") == 5.0
    clock.now += 5
    assert tries.wait("a") == 0
    tries.spend("a")
    assert tries.wait("a") == 10.0
    clock.now += 1e6
    for _ in range(3):
        assert tries.wait("a") == 0
        tries.spend("a")


def test_what_was_no_failure_is_given_back() -> None:
    tries = Attempts(1, 10.0, Clock())
    tries.spend("a")
    tries.forgive("a")
    assert tries.wait("a") == 0


def test_the_longest_unseen_is_forgotten() -> None:
    tries = Attempts(1, 10.0, Clock())
    for number in range(attempts._PEERS + 1):
        tries.spend(number)
    assert tries.wait(0) == 0
    assert tries.wait(1) == 10.0
    assert len(tries._spent) == attempts._PEERS
