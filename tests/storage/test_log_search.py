"""Lines found among many: by words and level, in pages from the newest on, and by the moment they were written."""

import pytest

from monitoring.storage import log_chunks, log_search, logs, moments, series
from scaleweb_sdk.protocol import Batch, Column, LogLine

pytestmark = [pytest.mark.django_db(transaction=True, databases="__all__")]
SOURCE = "run:searched"


@pytest.fixture
def written():
    """3,000 lines, one a second, partly gathered; every hundredth a warning, number 1234 an error in two colours."""
    for batch in range(30):
        lines = []
        for number in range(batch * 100, batch * 100 + 100):
            text = "WARNING: slow" if number % 100 == 99 else f"step {number}"
            text = "\x1b[31mER\x1b[1mROR\x1b[0m: Out of Memory" if number == 1234 else text
            lines.append(LogLine(1000.0 + number, "stdout", text))
        logs.append(SOURCE, "s", batch + 1, lines)
    log_chunks.gather()


def numbers(hits):
    return [line[0] for line in hits.lines]


def test_words_are_found_whatever_their_case_and_colours_with_their_numbers(written):
    assert numbers(log_search.find(SOURCE, "error: out of", "", before=None, count=10)) == [1234]
    assert numbers(log_search.find(SOURCE, "", "error", before=None, count=10)) == [1234]
    hits = log_search.find(SOURCE, "", "warning", before=None, count=1000)
    assert numbers(hits) == sorted([*range(99, 3000, 100), 1234])
    assert (hits.total, hits.before) == (3000, None)


def test_older_hits_come_page_by_page(written):
    first = log_search.find(SOURCE, "WARNING", "", before=None, count=20)
    second = log_search.find(SOURCE, "WARNING", "", before=first.before, count=20)
    assert numbers(second) + numbers(first) == list(range(99, 3000, 100))
    assert second.before is None


def test_a_search_that_runs_out_of_time_says_where_to_go_on(written):
    hits = log_search.find(SOURCE, "step 5", "", before=None, count=1000, limit_seconds=-1)
    found = numbers(hits)
    for _ in range(40):
        if hits.before is None:
            break
        hits = log_search.find(SOURCE, "step 5", "", before=hits.before, count=1000, limit_seconds=-1)
        found = numbers(hits) + found
    assert found[0] == 5
    assert len(found) == 1 + 10 + 99


def test_a_line_is_found_by_the_moment_it_was_written(written):
    assert [log_search.line_at(SOURCE, at) for at in (0, 1000, 1700.5, 3999, 9e9)] == [0, 0, 701, 2999, 2999]
    assert log_search.line_at("run:none", 5) == 0


def test_steps_and_times_lead_to_each_other():
    steps = list(range(0, 100_000, 10))
    column = Column("loss", steps, [5000.0 + step / 10 for step in steps], [0.0] * len(steps))
    series.append(SOURCE, "s", [Batch(seq=1, columns=[column])])
    series.compact(5)
    assert moments.time_at(SOURCE, 54_325) == (54_320, 10_432.0)
    assert moments.step_at(SOURCE, 10_432.9) == (54_320, 10_432.0)
    assert moments.step_at(SOURCE, 1.0) == (0, 5000.0)
    assert moments.step_at(SOURCE, 1e9) == (99_990, 14_999.0)
    assert moments.time_at("run:none", 5) is None
