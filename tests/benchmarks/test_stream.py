"""The stream on which learning is measured: the same from the same seed, and never better than the best."""

from benchmarks.control.stream import DECISIONS, stream


def test_a_stream_is_the_same_from_the_same_seed_and_no_choice_beats_the_best():
    first, again = stream(1000, 2), stream(1000, 2)
    assert first == again
    assert all(len(record.regrets) == DECISIONS for record in first)
    assert min(regret for record in first for regret in record.regrets) >= 0
    # Before the first verdict there is nothing to choose by.
    assert first[0].regrets[0] == stream(1000, 1, learns=False)[0].regrets[0]
