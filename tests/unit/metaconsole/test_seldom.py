"""What is told seldom: once a minute for each name, with all that came since."""

from metaconsole.seldom import TELL_SECONDS, Seldom


def test_each_name_is_told_once_a_minute_with_all_that_was_not_told() -> None:
    now = 5.0
    seldom = Seldom(lambda: now)
    assert [seldom.since("one", 3), seldom.since("one", 4), seldom.since("other", 1)] == [3, None, 1]
    now += TELL_SECONDS - 0.1
    assert seldom.since("one", 5) is None
    now += 0.1
    assert [seldom.since("one", 6), seldom.since("one", 7), seldom.since("other", 2)] == [15, None, 2]
