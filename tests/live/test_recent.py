"""What was published a moment ago is told to who began to read before it, or is said to be lost."""

import pytest

from monitoring.live.recent import Recent

CHANGE = b'{"type":"changed","what":"run","at":1,"data":{"n":%d}}'


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def recent(clock):
    found = Recent(clock, seconds=10, most_bytes=1000)
    found.restart()
    return found


def test_changes_since_a_moment_are_told_in_order_and_those_of_other_topics_are_not(recent, clock):
    for n in range(4):
        clock.now = 100.0 + n
        recent.keep("run:a" if n != 2 else "run:b", CHANGE % n)
    assert recent.of("run:a", 101.0) == [CHANGE % 1, CHANGE % 3]
    assert recent.of("run:c", 101.0) == []


def test_points_are_left_to_the_store(recent):
    recent.keep("run:a", b'{"type":"points","branch":0,"columns":{}}')
    assert recent.of("run:a", 100.0) == []


def test_what_is_too_old_to_be_known_is_said_to_be_missing(recent, clock):
    assert Recent(clock).of("run:a", 100.0) is None, "nothing was heard yet"
    assert recent.of("run:a", 99.9) is None
    recent.keep("run:a", CHANGE % 1)
    clock.now = 120.0
    recent.keep("run:b", CHANGE % 2)
    assert recent.of("run:a", 100.0) is None
    assert recent.of("run:a", 110.0) == []
    assert len(recent.kept) == 1


def test_it_holds_no_more_than_its_bytes(recent, clock):
    for n in range(1000):
        clock.now += 0.001
        recent.keep("run:a", CHANGE % n)
    assert recent.bytes <= 1000
    assert recent.of("run:a", 100.5) is None
    assert recent.of("run:a", clock.now) == [CHANGE % 999]
